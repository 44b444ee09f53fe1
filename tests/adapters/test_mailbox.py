"""The sandbox's mailbox and webhook receiver."""

from tests.world import World


def send(world: World, to: str, subject: str, text: str = "Dear Ada", html: str = "") -> None:
    world.ports.mailer.send(to=to, subject=subject, text=text, html=html, message_id=f"{subject}-{to}", headers={})


def test_a_mail_can_be_found_and_read_with_its_links(world: World) -> None:
    text = "Read https://shop.example/orders/1?t=abc. Bye (https://shop.example/x)."
    send(world, "ada@engines.example", "Your license", text, "<script>alert(1)</script><p>Hello</p>")
    send(world, "bob@mills.example", "Other")
    browser = world.browser()
    listed = browser.get("/sandbox/mail", params={"to": "ADA@"})
    assert "Your license" in listed.text
    assert "Other" not in listed.text
    found = browser.get("/sandbox/mail.json", params={"to": "ada@engines.example"}).json()
    assert found[0]["links"] == ["https://shop.example/orders/1?t=abc", "https://shop.example/x"]
    page = browser.get("/sandbox/mail/1")
    assert (page.status_code, 'href="https://shop.example/x"' in page.text) == (200, True)
    assert "<script>alert" not in page.text
    formatted = browser.get("/sandbox/mail/1.html")
    assert formatted.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_a_mail_that_is_not_there_is_404(world: World) -> None:
    browser = world.browser()
    assert browser.get("/sandbox/mail/99").status_code == 404
    assert browser.get("/sandbox/mail/99.html").status_code == 404
    assert "No mail yet" in browser.get("/sandbox/mail").text


def test_a_receiver_keeps_what_arrives_and_can_refuse_the_first(world: World) -> None:
    browser = world.browser()
    statuses = [browser.post("/sandbox/hooks/crm?fail=1", content=f"n{n}").status_code for n in range(2)]
    assert statuses == [500, 204]
    assert [each["body"] for each in browser.get("/sandbox/hooks/crm").json()] == ["n0", "n1"]
    assert browser.get("/sandbox/hooks/other").json() == []
