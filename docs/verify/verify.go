// Check a license offline, in any of its formats: copy this file into your product.
//
// It needs Go 1.19 or newer and nothing beyond the standard library. Ship the key set (GET /v1/licenses/keys) with your
// product; then
//
//	go run verify.go -keys keys.json [-license-key KEY] [-fingerprint SERVER] [-at 2027-01-01T00:00:00Z]
//	                 [-users 80] [-revocations LIST [-revocations DELTA]...] FILE...
//
// (GET /v1/licenses/revocations is the list of what no longer holds, carried to where no network is)
//
// prints one JSON object for each file and exits 0 where every license holds, 1 where one does not, 2 where the command was
// used wrongly.
package main

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Key is a member of the published JSON Web Key Set. A key is tried for the purpose it is published for and no other.
type Key struct {
	Kty, Kid, Purpose, N, E, X string
}

// KeySet is what GET /v1/licenses/keys answers.
type KeySet struct {
	Keys []Key `json:"keys"`
}

// Question is what is asked about a license. LicenseKey opens an encrypted Keygen file, together with Fingerprint, this
// server's own, a machine file; Users below 0 means not known; Revocations is a whole revocation list and the deltas that
// continue it.
type Question struct {
	Keys        KeySet
	At          time.Time
	LicenseKey  string
	Fingerprint string
	Users       int64
	Revocations [][]byte
}

// License is what a license grants. Step is what a token asks the product for at that time, FileEndsAt the end of a
// Keygen file, which is not the end of the license; Fingerprint is the server's that a machine file is for.
type License struct {
	Accepted   bool     `json:"accepted"`
	Format     string   `json:"format"`
	ID         string   `json:"id"`
	Seats      int64    `json:"seats"`
	StartsAt   string   `json:"starts_at"`
	ExpiresAt  string   `json:"expires_at"`
	Features   []string `json:"features"`
	Step       *string  `json:"step,omitempty"`
	FileEndsAt *string  `json:"file_ends_at,omitempty"`

	Fingerprint string `json:"fingerprint,omitempty"`

	fileID      string // what a revocation list names, hashed
	revocations int64  // the number of the newest list when this was issued
}

// Refused says why a license does not hold, as a code for programs.
type Refused string

func (r Refused) Error() string { return string(r) }

const (
	longest       = 10_000 // characters of a Mattermost file and of a token
	longestKeygen = 40_000
	longestList   = 64_000_000
)

var (
	armour  = regexp.MustCompile(`\A-----BEGIN (LICENSE|MACHINE) FILE-----\n([A-Za-z0-9+/=\n]+)\n-----END (LICENSE|MACHINE) FILE-----\n?\z`)
	version = regexp.MustCompile(`\Av[0-9]+\.`)
	token   = regexp.MustCompile(`\Av4\.public\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)(?:\r?\n)?\z`)
	fileID  = regexp.MustCompile(`\A[A-Za-z0-9]{26}\z`)
)

// Verify judges the text of a license. The error is a Refused.
func Verify(text []byte, asked Question) (*License, error) {
	found, err := read(text, asked)
	if err != nil || len(asked.Revocations) == 0 {
		return found, err
	}
	names, err := listed(asked.Revocations, asked.Keys)
	if err != nil {
		return nil, err
	}
	if int64(len(names)) < found.revocations {
		return nil, Refused("old_revocation_list") // somebody kept back what was revoked before this was issued
	}
	digest := sha256.Sum256([]byte("blp/revoked-file/v1\n" + found.fileID))
	name := hex.EncodeToString(digest[:10])
	for _, each := range names {
		if each == name {
			return nil, Refused("revoked")
		}
	}
	return found, nil
}

func read(text []byte, asked Question) (*License, error) {
	if bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return keygen(text, asked)
	}
	if version.Match(text) {
		return publicToken(text, asked)
	}
	return mattermost(text, asked)
}

// --- Mattermost: base64( JSON, then 256 bytes of RSA PKCS#1 v1.5 SHA-512 ) ------------------------------------------

func mattermost(text []byte, asked Question) (*License, error) {
	if len(text) > longest {
		return nil, Refused("too_long")
	}
	joined := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "")
	content, err := decode(base64.StdEncoding, joined)
	if err != nil {
		return nil, err
	}
	trimmed := bytes.TrimRight(content, "\x00") // as servers do, which is why a signature may not end in a zero byte
	if len(trimmed) <= 256 {
		return nil, Refused("too_short")
	}
	payload, signature := trimmed[:len(trimmed)-256], trimmed[len(trimmed)-256:]
	digest := sha512.Sum512(payload)
	held := false
	for _, each := range asked.Keys.of("license-file", "RSA") {
		n, e := each.number(each.N), each.number(each.E)
		if n != nil && e != nil && n.BitLen() == 2048 && e.IsInt64() {
			key := &rsa.PublicKey{N: n, E: int(e.Int64())}
			held = held || rsa.VerifyPKCS1v15(key, crypto.SHA512, digest[:], signature) == nil
		}
	}
	if !held {
		return nil, Refused("bad_signature")
	}
	var said struct {
		ID        string                     `json:"id"`
		IssuedAt  *int64                     `json:"issued_at"`
		StartsAt  *int64                     `json:"starts_at"`
		ExpiresAt *int64                     `json:"expires_at"`
		Customer  map[string]any             `json:"customer"`
		Features  map[string]json.RawMessage `json:"features"`
	}
	if json.Unmarshal(payload, &said) != nil || said.IssuedAt == nil || said.StartsAt == nil || said.ExpiresAt == nil {
		return nil, Refused("malformed_payload")
	}
	var seats *int64
	if said.Customer == nil || json.Unmarshal(said.Features["users"], &seats) != nil || seats == nil {
		return nil, Refused("malformed_payload")
	}
	if !fileID.MatchString(said.ID) {
		return nil, Refused("malformed_payload")
	}
	if *seats < 1 {
		return nil, Refused("no_seats")
	}
	expires := time.UnixMilli(*said.ExpiresAt)
	if expires.Before(asked.At) {
		return nil, Refused("expired")
	}
	if asked.Users > *seats {
		return nil, Refused("more_users_than_seats") // a server refuses to install it; a token has its ladder for that
	}
	on := []string{}
	for name, value := range said.Features {
		if string(value) == "true" && name != "future_features" {
			on = append(on, name)
		}
	}
	found := granted("mattermost", said.ID, *seats, time.UnixMilli(*said.StartsAt), expires, on)
	found.fileID = said.ID
	return found, nil
}

// --- Keygen: lines around base64 of {"enc","sig","alg"}, Ed25519 over "license/" or "machine/" and enc --------------

func keygen(text []byte, asked Question) (*License, error) {
	if len(text) > longestKeygen {
		return nil, Refused("too_long")
	}
	found := armour.FindStringSubmatch(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if found == nil || found[1] != found[3] {
		return nil, Refused("broken_envelope")
	}
	machine := found[1] == "MACHINE"
	lines := strings.Split(found[2], "\n")
	for _, line := range lines[:len(lines)-1] {
		if len(line) != 60 {
			return nil, Refused("broken_envelope")
		}
	}
	content, err := decode(base64.StdEncoding, strings.Join(lines, ""))
	if err != nil {
		return nil, err
	}
	var document struct {
		Enc string `json:"enc"`
		Sig string `json:"sig"`
		Alg string `json:"alg"`
	}
	if json.Unmarshal(content, &document) != nil {
		return nil, Refused("malformed_payload")
	}
	// One spelling only: written again it has to be the same.
	again := fmt.Sprintf(`{"enc":"%s","sig":"%s","alg":"%s"}`, document.Enc, document.Sig, document.Alg)
	if again != string(content) {
		return nil, Refused("broken_envelope")
	}
	encrypted := document.Alg == "aes-256-gcm+ed25519"
	if !encrypted && document.Alg != "base64+ed25519" { // pinned: never what the file asks for
		return nil, Refused("unsupported_algorithm")
	}
	signature, err := decode(base64.StdEncoding, document.Sig)
	if err != nil {
		return nil, err
	}
	tag, opener := "license/", asked.LicenseKey
	if machine {
		tag = "machine/" // the same key signs both, and this tells the two apart
		if opener == "" || asked.Fingerprint == "" {
			opener = ""
		} else {
			opener += asked.Fingerprint
		}
	}
	if !asked.Keys.signed("keygen-file", "", []byte(tag+document.Enc), signature) {
		return nil, Refused("bad_signature")
	}
	var payload []byte
	if encrypted {
		payload, err = open(document.Enc, opener)
	} else {
		payload, err = decode(base64.StdEncoding, document.Enc)
	}
	if err != nil {
		return nil, err
	}
	if machine {
		return server(payload, encrypted, asked)
	}
	var said resource
	if json.Unmarshal(payload, &said) != nil {
		return nil, Refused("malformed_payload")
	}
	return said.granted(asked.At)
}

// server reads a machine file: the license is among what is included.
func server(payload []byte, encrypted bool, asked Question) (*License, error) {
	var said resource
	var licenses []included
	if json.Unmarshal(payload, &said) != nil || said.Data.Type != "machines" {
		return nil, Refused("malformed_payload")
	}
	for _, each := range said.Included {
		if each.Type == "licenses" {
			licenses = append(licenses, each)
		}
	}
	if len(licenses) != 1 || licenses[0].ID == "" || licenses[0].ID != said.Data.Relationships.License.Data.ID {
		return nil, Refused("malformed_payload")
	}
	key, fingerprint := licenses[0].Attributes.Key, said.Data.Attributes.Fingerprint
	if key == nil || fingerprint == nil {
		return nil, Refused("malformed_payload")
	}
	if encrypted && (*key != asked.LicenseKey || *fingerprint != asked.Fingerprint) {
		return nil, Refused("wrong_license_key") // not the same text divided in another place
	}
	if *fingerprint != asked.Fingerprint {
		return nil, Refused("other_server")
	}
	said.Data.included = licenses[0]
	found, err := said.granted(asked.At)
	if err == nil {
		found.Format, found.Fingerprint = "machine", asked.Fingerprint
	}
	return found, err
}

func open(enc, opener string) ([]byte, error) {
	if opener == "" {
		return nil, Refused("sealed")
	}
	parts := strings.Split(enc, ".")
	if len(parts) != 3 {
		return nil, Refused("broken_envelope")
	}
	var pieces [3][]byte
	for i, part := range parts {
		piece, err := decode(base64.StdEncoding, part)
		if err != nil {
			return nil, err
		}
		pieces[i] = piece
	}
	key := sha256.Sum256([]byte(opener))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(pieces[1]) != gcm.NonceSize() {
		return nil, Refused("wrong_license_key")
	}
	plain, err := gcm.Open(nil, pieces[1], append(pieces[0], pieces[2]...), nil)
	if err != nil {
		return nil, Refused("wrong_license_key")
	}
	return plain, nil
}

// included is a JSON:API resource: a license, an entitlement with its code, or a machine with its fingerprint.
type included struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Attributes struct {
		Key         *string    `json:"key"`
		Expiry      *time.Time `json:"expiry"`
		Code        string     `json:"code"`
		Fingerprint *string    `json:"fingerprint"`
		Metadata    struct {
			LicenseID *string    `json:"licenseId"`
			Users     *int64     `json:"users"`
			StartsAt  *time.Time `json:"startsAt"`
		} `json:"metadata"`
	} `json:"attributes"`
}

// resource is the document inside a Keygen file.
type resource struct {
	Data struct {
		included
		Relationships struct {
			License struct {
				Data struct {
					ID string `json:"id"`
				} `json:"data"`
			} `json:"license"`
		} `json:"relationships"`
	} `json:"data"`
	Included []included `json:"included"`
	Meta     struct {
		Issued *time.Time `json:"issued"`
		Expiry *time.Time `json:"expiry"`
		TTL    *int64     `json:"ttl"`

		Revocations int64 `json:"revocations"`
	} `json:"meta"`
}

// granted reads the license that stands in Data.
func (document resource) granted(at time.Time) (*License, error) {
	if document.Data.Type != "licenses" {
		return nil, Refused("malformed_payload")
	}
	attributes, meta := document.Data.Attributes, document.Meta
	metadata := attributes.Metadata
	if attributes.Expiry == nil || meta.Issued == nil || metadata.LicenseID == nil || metadata.Users == nil ||
		metadata.StartsAt == nil || attributes.Key == nil {
		return nil, Refused("malformed_payload")
	}
	if *metadata.Users < 1 {
		return nil, Refused("no_seats")
	}
	if meta.Issued.After(at.Add(5 * time.Minute)) {
		return nil, Refused("issued_in_the_future")
	}
	if meta.TTL != nil && *meta.TTL != 0 && meta.Expiry != nil && at.After(*meta.Expiry) {
		return nil, Refused("file_ended")
	}
	if attributes.Expiry.Before(at) {
		return nil, Refused("expired")
	}
	codes := []string{}
	for _, each := range document.Included {
		if each.Type == "entitlements" {
			codes = append(codes, strings.ToLower(each.Attributes.Code))
		}
	}
	found := granted("keygen", *metadata.LicenseID, *metadata.Users, *metadata.StartsAt, *attributes.Expiry, codes)
	if meta.Expiry != nil {
		ends := written(*meta.Expiry)
		found.FileEndsAt = &ends
	}
	found.fileID, found.revocations = *attributes.Key, meta.Revocations
	return found, nil
}

// --- Token: PASETO v4.public, key and purpose named in the footer ---------------------------------------------------

func publicToken(text []byte, asked Question) (*License, error) {
	claims, err := paseto(text, asked.Keys, "license-token", longest)
	if err != nil {
		return nil, err
	}
	return claimed(claims, asked)
}

// paseto opens a token of this purpose and no other.
func paseto(text []byte, keys KeySet, purpose string, most int) ([]byte, error) {
	if len(text) > most {
		return nil, Refused("too_long")
	}
	found := token.FindSubmatch(text)
	if found == nil {
		return nil, Refused("broken_envelope")
	}
	body, err := decode(base64.RawURLEncoding, string(found[1]))
	if err != nil {
		return nil, err
	}
	footer, err := decode(base64.RawURLEncoding, string(found[2]))
	if err != nil {
		return nil, err
	}
	var named struct {
		Kid     string `json:"kid"`
		Purpose string `json:"purpose"`
	}
	if json.Unmarshal(footer, &named) != nil {
		return nil, Refused("malformed_payload")
	}
	if named.Purpose != purpose {
		return nil, Refused("wrong_purpose")
	}
	known := false
	for _, each := range keys.of(purpose, "OKP") {
		known = known || each.Kid == named.Kid
	}
	if !known || named.Kid == "" {
		return nil, Refused("unknown_key")
	}
	if len(body) <= ed25519.SignatureSize {
		return nil, Refused("bad_signature")
	}
	payload, signature := body[:len(body)-ed25519.SignatureSize], body[len(body)-ed25519.SignatureSize:]
	signed := preauth([]byte("v4.public."), payload, footer, []byte("blp/"+purpose+"/v1"))
	if !keys.signed(purpose, named.Kid, signed, signature) {
		return nil, Refused("bad_signature")
	}
	return payload, nil
}

func claimed(claims []byte, asked Question) (*License, error) {
	var said struct {
		Sub         string     `json:"sub"`
		Key         *string    `json:"key"`
		Revocations int64      `json:"revocations"`
		Issued      *time.Time `json:"iat"`
		Starts      *time.Time `json:"nbf"`
		Ends        *time.Time `json:"exp"`
		Expires     *time.Time `json:"expires_at"`
		Seats       *int64     `json:"seats"`
		Features    []string   `json:"features"`
		Enforcement []struct {
			Step    string `json:"step"`
			Days    *int64 `json:"days"`
			Percent *int64 `json:"percent"`
		} `json:"enforcement"`
	}
	if json.Unmarshal(claims, &said) != nil || said.Issued == nil || said.Starts == nil || said.Ends == nil ||
		said.Expires == nil || said.Seats == nil || said.Features == nil || said.Enforcement == nil ||
		said.Key == nil {
		return nil, Refused("malformed_payload")
	}
	if *said.Seats < 1 {
		return nil, Refused("no_seats")
	}
	if said.Issued.After(asked.At.Add(5 * time.Minute)) {
		return nil, Refused("issued_in_the_future")
	}
	if asked.At.Before(*said.Starts) {
		return nil, Refused("not_started")
	}
	if asked.At.After(*said.Ends) {
		return nil, Refused("expired")
	}
	found := granted("token", said.Sub, *said.Seats, *said.Starts, *said.Expires, said.Features)
	found.fileID, found.revocations = *said.Key, said.Revocations
	// Between the end of the term and `exp` the token still holds: what to do then is what its ladder says, mildest first.
	for _, rung := range said.Enforcement {
		step := rung.Step
		late := rung.Days != nil && asked.At.After(said.Expires.Add(time.Duration(*rung.Days)*24*time.Hour))
		full := rung.Percent != nil && asked.Users >= 0 && asked.Users*100 > *said.Seats**rung.Percent
		if late || full {
			found.Step = &step
		}
	}
	return found, nil
}

// preauth writes how many pieces there are, then each with its length, so that none runs over into the next.
func preauth(pieces ...[]byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(pieces)))
	for _, piece := range pieces {
		out = binary.LittleEndian.AppendUint64(out, uint64(len(piece)))
		out = append(out, piece...)
	}
	return out
}

// --- What no longer holds: a list in the form of the token, under a key and a tag of its own -------------------------

// listed gives the hashes of all files that were revoked, in the order of their numbers.
func listed(texts [][]byte, keys KeySet) ([]string, error) {
	var names []string
	for _, text := range texts {
		payload, err := paseto(text, keys, "revocation-list", longestList)
		if err != nil {
			return nil, err
		}
		var said struct {
			Type     string     `json:"type"`
			Since    *int       `json:"since"`
			Sequence *int       `json:"sequence"`
			Revoked  [][]string `json:"revoked"`
		}
		if json.Unmarshal(payload, &said) != nil || said.Type != "blp/revocation-list/v1" || said.Since == nil ||
			said.Sequence == nil || said.Revoked == nil || *said.Sequence != *said.Since+len(said.Revoked) {
			return nil, Refused("malformed_payload")
		}
		if *said.Since < 0 || *said.Since > len(names) {
			return nil, Refused("revocations_missing") // begin with a whole list, and leave no delta out
		}
		for place, entry := range said.Revoked {
			if len(entry) != 3 {
				return nil, Refused("malformed_payload")
			}
			if at := *said.Since + place; at == len(names) {
				names = append(names, entry[0])
			} else if names[at] != entry[0] {
				return nil, Refused("malformed_payload")
			}
		}
	}
	return names, nil
}

// --- What they share ------------------------------------------------------------------------------------------------

func (set KeySet) of(purpose, kty string) []Key {
	var found []Key
	for _, each := range set.Keys {
		if each.Purpose == purpose && each.Kty == kty {
			found = append(found, each)
		}
	}
	return found
}

func (set KeySet) signed(purpose, kid string, message, signature []byte) bool {
	for _, each := range set.of(purpose, "OKP") {
		public, err := decode(base64.RawURLEncoding, each.X)
		if err == nil && len(public) == ed25519.PublicKeySize && (kid == "" || kid == each.Kid) &&
			ed25519.Verify(public, message, signature) {
			return true
		}
	}
	return false
}

func (Key) number(text string) *big.Int {
	data, err := decode(base64.RawURLEncoding, text)
	if err != nil {
		return nil
	}
	return new(big.Int).SetBytes(data)
}

func granted(format, id string, seats int64, starts, expires time.Time, features []string) *License {
	sort.Strings(features)
	return &License{
		Accepted: true, Format: format, ID: id, Seats: seats, StartsAt: written(starts), ExpiresAt: written(expires),
		Features: features,
	}
}

// decode takes the one spelling only: padding as the alphabet asks for, no line break, no bit that belongs to nothing.
func decode(encoding *base64.Encoding, text string) ([]byte, error) {
	data, err := encoding.DecodeString(text)
	if err != nil {
		return nil, Refused("not_base64")
	}
	if encoding.EncodeToString(data) != text {
		return nil, Refused("altered")
	}
	return data, nil
}

func written(at time.Time) string { return at.UTC().Truncate(time.Second).Format(time.RFC3339) }

// files collects a flag that may be given several times.
type files []string

func (f *files) String() string { return strings.Join(*f, " ") }

func (f *files) Set(name string) error {
	*f = append(*f, name)
	return nil
}

func main() {
	var lists files
	keys := flag.String("keys", "", "the published key set, JSON")
	licenseKey := flag.String("license-key", "", "opens an encrypted Keygen file")
	fingerprint := flag.String("fingerprint", "", "of this server, for a machine file")
	at := flag.String("at", time.Now().UTC().Format(time.RFC3339), "judge as of this time")
	users := flag.Int64("users", -1, "how many users there are")
	flag.Var(&lists, "revocations", "a revocation list, then deltas")
	flag.Parse()
	asked := Question{LicenseKey: *licenseKey, Fingerprint: *fingerprint, Users: *users}
	var err error
	if asked.At, err = time.Parse(time.RFC3339, *at); err != nil {
		wrongUsage(err)
	}
	set, err := os.ReadFile(*keys)
	if err == nil {
		err = json.Unmarshal(set, &asked.Keys)
	}
	if err != nil || flag.NArg() == 0 {
		wrongUsage(err)
	}
	for _, name := range lists {
		text, err := os.ReadFile(name)
		if err != nil {
			wrongUsage(err)
		}
		asked.Revocations = append(asked.Revocations, text)
	}
	status, out := 0, json.NewEncoder(os.Stdout)
	for _, name := range flag.Args() {
		text, err := os.ReadFile(name)
		if err != nil {
			wrongUsage(err)
		}
		found, err := Verify(text, asked)
		if err != nil {
			status = 1
			err = out.Encode(map[string]any{"accepted": false, "code": err.Error()})
		} else {
			err = out.Encode(found)
		}
		if err != nil {
			wrongUsage(err)
		}
	}
	os.Exit(status)
}

func wrongUsage(err error) {
	fmt.Fprintln(os.Stderr, "usage: verify -keys keys.json [-license-key KEY] [-fingerprint SERVER] [-at TIME] [-users N] [-revocations LIST]... FILE...", err)
	os.Exit(2)
}
