"""XEP-0054: vcard-temp."""

from scenario import canonical, case, check, parse

EMPTY = "<vCard xmlns='vcard-temp'/>"
VCARD = ("<vCard xmlns='vcard-temp'><FN>Ann</FN><TEL><WORK/><NUMBER>1</NUMBER>"
         "</TEL><DESC>a &lt; b</DESC></vCard>")


@case("3.1", "if no vCard exists: item-not-found, or an empty vCard")
def has_none_at_first(s):
    ann = s.client(s.user(), "phone")
    answer = ann.iq("get", EMPTY)
    check(answer.get("type") == "error" or len(answer[0]) == 0, "what is it?")


@case("3.2", "a user may publish or update his or her vCard")
def is_kept(s):
    ann = s.client(s.user(), "phone")
    check(ann.iq("set", VCARD).get("type") == "result", "not stored")
    check(canonical(ann.iq("get", EMPTY)[0]) == canonical(parse(VCARD)),
          "not as it was")


@case("3.3", "a user may view another user's vCard")
def is_shown_to_others(s):
    ann, bob = s.client(s.user(), "phone"), s.client(s.user(), "desk")
    ann.iq("set", VCARD)
    answer = bob.iq("get", EMPTY, ann.bare)
    check(answer.get("from") == ann.bare, answer.get("from"))
    check(canonical(answer[0]) == canonical(parse(VCARD)), "not as it was")


@case("3.3", "the server MUST return the same error for a user without vCard "
      "and one that doesn't exist", ours=True)
def does_not_tell_who_exists(s):
    ann, bob = s.client(s.user(), "phone"), s.client(s.user(), "desk")
    errors = []
    for jid in (ann.bare, "nobody-at-all@" + s.domain):
        answer = bob.iq("get", EMPTY, jid)
        error = answer.find("{jabber:client}error")
        check(error is not None, "no error for " + jid)
        errors.append((error.get("type"), error[0].tag))
    check(errors[0] == errors[1], str(errors))


@case("3.2", "a set on another user's vCard MUST return an error, which "
      "SHOULD be forbidden or not-allowed")
def belongs_to_its_user(s):
    ann, eve = s.client(s.user(), "phone"), s.client(s.user(), "desk")
    answer = eve.iq("set", VCARD, ann.bare)
    check(answer.get("type") == "error", "eve has set it")
    check(answer.find("{jabber:client}error")[0].tag.split("}")[1] in
          ("forbidden", "not-allowed"), "which error?")


@case("5", "a feature of 'vcard-temp'")
def is_advertised(s):
    answer = s.client(s.user()).iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        s.domain)
    check("vcard-temp" in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")
