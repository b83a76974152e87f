"""What answers look like where a whole gateway cannot be made to show it."""

from alphacut.options import Mode
from alphacut_gateway.answers import failure, success_binary, to_json
from support.gateway_backend import MD5, cut_picture


def test_half_a_character_does_not_break_an_answer() -> None:
    """A name may hold a lone surrogate, which UTF-8 does not."""
    assert to_json({"name": "a\ud83d.png"}) == b'{"name":"a?.png"}'
    assert b'"name":"a?.png"' in failure("No.", "a\ud83d.png", MD5).body


def test_headers_hold_whatever_a_name_holds() -> None:
    """Line ends, quotes, half characters and great length are encoded or cut."""
    name = '../x\r\nSet-Cookie: a=1"\ud83d' + "y" * 9000

    response = success_binary(cut_picture(), name, Mode.FG_IMAGE)

    for header in ("x-alphacut-name", "content-disposition"):
        value = response.headers[header]
        assert value.isascii()
        assert value.isprintable()
        assert len(value) < 900
    assert "/" not in response.headers["content-disposition"]
