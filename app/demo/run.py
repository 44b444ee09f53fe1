"""`blp demo`: build the house, tell the story, check what it left, then keep the portal open."""

import json
import signal
import threading
from pathlib import Path
from time import perf_counter
from typing import Final

from app.core.processes import ChildBroken
from app.demo import story, verify
from app.demo.cast import Vendor, WentWrong
from app.demo.house import FOLDER, ROOT, STAFF_EMAIL, House, built
from app.demo.show import Teller

_MOST_COMPLAINTS: Final = 12


def main(*, once: bool) -> int:
    """Exit status 0 when every step ended as it must; 1 otherwise, naming the step."""
    teller, started = Teller(), perf_counter()
    teller.say("BLP tells its story on a sandbox: no real money, no real mail, a database of its own.")
    try:
        with built() as house:
            told = story.tell(house, teller)
            made = verify.check(Vendor.of(house), told, teller)
            seconds = perf_counter() - started
            _summarize(teller, told, seconds)
            teller.say(f"\n{len(teller.steps)} steps in {seconds:.1f} s. What it made, in {FOLDER.relative_to(ROOT)}/:")
            for path in (*told.files, *made, FOLDER / "summary.json"):
                teller.say(f"  {path.relative_to(ROOT)}")
            if not once:
                _serve(house, told, teller)
    except (WentWrong, ChildBroken, LookupError) as exc:
        teller.say(f"\nThe story broke off: {exc}")
        for log in sorted(FOLDER.glob("*.log")):
            said, name = _complaints(log), log.relative_to(ROOT)
            teller.say(f"\n{name} complains:\n{said}" if said else f"\n{name} has no complaint.")
        return 1
    return 0


def _complaints(log: Path) -> str:
    """The last lines of a process's log that are not mere news."""
    lines = [each for each in log.read_text("utf-8", errors="replace").splitlines() if '"level": "info"' not in each]
    return "\n".join(f"  {each[:400]}" for each in lines[-_MOST_COMPLAINTS:])


def _summarize(teller: Teller, told: story.Told, seconds: float) -> None:
    steps = [
        {"title": each.title, "outcome": each.outcome, "seconds": round(each.seconds, 3), "figures": each.figures}
        for each in teller.steps
    ]
    summary = {"seconds": round(seconds, 1), "license_seconds": round(told.german.seconds, 3), "steps": steps}
    (FOLDER / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _serve(house: House, told: story.Told, teller: Teller) -> None:
    """Say where everything is and wait for Ctrl-C."""
    teller.say(f"""
The portal is open:  {house.url}/
  buy               {house.url}/            pay with 4242 4242 4242 4242
  read the mails    {house.url}/sandbox/mail
  as a customer     {house.url}/sign-in     as {story.ADA["email"]}; the link is in the mailbox
  as staff          {house.url}/console     as {STAFF_EMAIL}; second factor {told.totp}
Ctrl-C stops everything this started.""")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    teller.say("\nStopping…")
