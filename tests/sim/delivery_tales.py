"""Schedules made by hand, or found and shrunk: each breaks a promise without the rule that it's named after, and none
with all rules. Random schedules are also bred from them. Steps are World.step_*; the first leader is node 0."""

# Ann writes from node 1 to bob, who leaves: all but node 1 know that both are done. Node 1 leads.
LOST_ACK = [("strangers",), ("login", 1, "ann", "x"), ("login", 2, "bob", "x"), ("flow", None)]
LEFT = [("up", 1), ("flow", 1), ("logout", 2, "bob", "x"), ("flow", 1)]
LEAD = [("elect", 1, 0, 0), ("mirror_link", 0, 1), ("mirror", 0), ("mirrored", 0), ("link", 0, 1), ("up", 0),
        ("link", 1, 1), ("up", 1), ("up", 1), ("commit",)]

# Bob is on node 2, whose own copy doesn't know of it; nodes 0 and 1 have lost theirs. Node 0 leads, and hears node 1.
UNKNOWN = [("mirror_link", 1, 0), ("mirror", 1), ("mirrored", 1), ("link", 2, 0), ("up", 2), ("up", 2),
           ("login", 2, "bob", "x"), ("up", 2), ("mirror", 1), ("mirrored", 1), ("down", 2), ("down", 2),
           ("crash", 0), ("crash", 1), ("restart", 0), ("restart", 1), ("elect", 0, 1, 0), ("copy", 2, 0), ("flow", 2)]
BIND = [("login", 1, "bob", "x"), ("flow", 2), ("flow", None)]

TALES = {
    "grace": LOST_ACK + [("send", 1, "ann", "x", "bob", None, False)] + LEFT + LEAD,
    "full_waits": LOST_ACK + [("send", 1, "ann", "x", "bob", "x", False)] + LEFT +
                  [("login", 0, "bob", "x"), ("flow", 1)] + LEAD,
    "hold_unknown": UNKNOWN + BIND,
    "whole": UNKNOWN + [("elect", 1, 0, 0), ("copy", 2, 1), ("flow", 2)] + BIND,
}

# New things needn't wait for node 2, which the new leader hasn't heard: routed, bound and bounced before any tick.
HERE = [("strangers",), ("login", 1, "ann", "x"), ("login", 0, "bob", "x"), ("flow", None), ("elect", 1, 0, 0)]
NEW = [("send", 1, "ann", "x", "bob", None, False), ("send", 1, "ann", "x", "bob", "y", True), ("login", 0, "ann", "y")]
COME = [("flow", 2), ("expect", 0, "bob", "x", "message"), ("expect", 1, "ann", "x", "bounce"),
        ("expect", 0, "ann", "y", "bound")]

# Node 2 announces after grace that bob had taken a row there, while it's on its way to another session of his.
LATE_ROW = [
    ("strangers",), ("login", 1, "ann", "x"), ("flow", None), ("send", 1, "ann", "x", "bob", None, False),
    ("flow", None), ("login", 2, "bob", "x"), ("up", 2), ("mirror", 1), ("mirrored", 1), ("down", 2), ("up", 2),
    ("down", 2), ("down", 2), ("up", 2), ("up", 2), ("logout", 2, "bob", "x"), ("up", 2), ("mirror", 1),
    ("mirrored", 1), ("elect", 1, 0, 0), ("mirror_link", 0, 1), ("mirror", 0), ("mirrored", 0), ("link", 0, 1),
    ("up", 0), ("up", 0), ("tick",), ("login", 0, "bob", "y"), ("up", 0), ("up", 0), ("mirror", 0),
    ("mirrored", 0), ("down", 0), ("down", 0), ("down", 0), ("up", 0), ("up", 0), ("link", 2, 1), ("up", 2),
    ("down", 0), ("down", 0)]

TALES.update({
    "at_once": HERE + [("flow", 2)] + NEW + COME,
    "sent_once": HERE + NEW + COME,
    # Ann is told of bob, whose bind is on the leader alone; then both bob's node and the leader are gone.
    "counted": [
        ("flow", None), ("login", 1, "ann", "y"), ("up", 1), ("login", 2, "bob", "x"), ("up", 2), ("mirror", 1),
        ("mirrored", 1), ("down", 1), ("down", 1), ("down", 1), ("elect", 1, 2, 0), ("crash", 2)],
    # Bob has been told that ann is gone, and logs in anew with a leader that hasn't heard ann's node.
    "gone_once": [
        ("login", 2, "bob", "x"), ("login", 1, "ann", "x"), ("elect", 2, 0, 3), ("mirror_link", 1, 2), ("mirror", 1),
        ("mirrored", 1), ("link", 1, 2), ("up", 1), ("up", 1), ("link", 2, 2), ("mirror", 1), ("mirrored", 1),
        ("down", 1), ("up", 2), ("up", 2), ("mirror", 1), ("elect", 1, 0, 1), ("mirror_link", 2, 1), ("mirror", 2),
        ("logout", 1, "ann", "x"), ("mirrored", 2), ("link", 2, 1), ("up", 2), ("link", 1, 1), ("up", 1), ("down", 2),
        ("elect", 0, 2, 3)],
    # The first of two messages is resent, the second has been stored, and ann has logged in since.
    "later_done": [
        ("elect", 2, 0, 1), ("login", 1, "bob", "x"), ("mirror_link", 1, 2), ("mirror", 1), ("mirrored", 1),
        ("link", 1, 2), ("up", 1), ("up", 1), ("up", 1), ("login", 0, "ann", "x"), ("down", 1), ("mirror_link", 0, 2),
        ("mirror", 0), ("link", 0, 2), ("up", 0), ("mirrored", 0), ("down", 1), ("up", 0), ("mirror", 0),
        ("mirrored", 0), ("send", 1, "bob", "x", "ann", None, False), ("down", 0), ("down", 0), ("up", 1), ("up", 1),
        ("down", 0), ("elect", 2, 1, 2), ("send", 1, "bob", "x", "ann", None, False), ("mirror_link", 0, 2),
        ("mirror", 0), ("mirrored", 0), ("tick",), ("link", 1, 2), ("logout", 0, "ann", "x"), ("link", 0, 2),
        ("up", 1), ("up", 1), ("up", 1), ("up", 1), ("up", 0), ("elect", 2, 0, 2), ("login", 1, "ann", "y")],
    # The election's majority is a node that lost its copy and one whose copy is old; the third node has the news.
    "all_copies": [
        ("login", 0, "ann", "y"), ("login", 2, "bob", "x"), ("flow", None), ("login", 2, "ann", "y"), ("flow", 1),
        ("crash", 0), ("restart", 0), ("elect", 0, 1, 0)],
    "forget_all": LATE_ROW,
    "row_dropped": LATE_ROW + [("commit",), ("down", 0), ("reset", 0)],
})
