"""URLs are read in one way or not at all."""

from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.target import MAX_URL_CHARS, follow, parse_url

hosts = st.text(alphabet="ab01xf.-_%@:[]\\ \t/é\uff10", max_size=12)
urls = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["http", "https", "HTTP", "ftp"]),
        st.one_of(hosts, st.from_regex(r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,3}", fullmatch=True)),
        st.sampled_from(["", ":80", ":8080", ":0", ":", ":99999"]),
        st.sampled_from(["", "/", "/a b?c=d", "?q", "#f", "\\x", "/é"]),
    ),
)


@pytest.mark.parametrize(
    ("url", "understood"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com/A", "http://example.com/A"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com?q=1", "http://example.com/?q=1"),
        ("http://example.com/a/../b", "http://example.com/a/../b"),
        ("http://example.com/My Photo.jpg", "http://example.com/My%20Photo.jpg"),
        ("http://example.com/%20%2F?x=%26", "http://example.com/%20%2F?x=%26"),
        ("http://example.com/фото.jpg?ü", "http://example.com/%D1%84%D0%BE%D1%82%D0%BE.jpg?%C3%BC"),
        ('http://example.com/{a}|"b"', "http://example.com/%7Ba%7D%7C%22b%22"),
        ("http://bücher.example.com/", "http://xn--bcher-kva.example.com/"),
        ("http://my_bucket.example.com/", "http://my_bucket.example.com/"),
        ("http://3com.com/", "http://3com.com/"),
        ("http://127.0.0.1.example.com/", "http://127.0.0.1.example.com/"),
        ("http://1.2.3.4:8080/", "http://1.2.3.4:8080/"),
        ("http://[2606:2800:0220:0001::0001]/", "http://[2606:2800:220:1::1]/"),
        ("http://example.com/a@b:c", "http://example.com/a@b:c"),
        ("http://example.com//a", "http://example.com//a"),
    ],
)
def test_a_plain_url_is_understood(url: str, understood: str) -> None:
    """Host in lower case and A-labels, default port and fragment gone, the rest percent-encoded where it must be."""
    assert parse_url(url).url == understood


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/\ud800",
        "http://ex\u00e4mple.com./",
        "http://\u212aelvin.com/",
        "http://B\u00dcCHER.example.com/",
        "http://-a.com/",
        "http://a-.com/",
        "http://a,b.com/",
        f"http://{'a' * 64}.com/",
        f"http://{'a.' * 127}com/",
        "http://" + "\u00e4" * 300 + ".com/",
        "http://example.com/" + "a" * MAX_URL_CHARS,
    ],
)
def test_an_odd_url_is_refused(url: str) -> None:
    """Whatever is not plainly a host of the web; the attack list has many more."""
    with pytest.raises(Refused) as caught:
        parse_url(url)

    assert caught.value.cause is Cause.URL_MALFORMED


@given(urls)
def test_what_is_understood_is_read_alike_by_others(url: str) -> None:
    """Whatever passes is fit for a request line, and the standard library and httpx find the same host and port in it."""
    try:
        target = parse_url(url)
    except Refused:
        return

    assert parse_url(target.url) == target
    assert target.path.isascii()
    assert target.path.isprintable()
    assert " " not in target.path
    split, other = urlsplit(target.url), httpx.URL(target.url)
    assert (split.scheme, split.hostname, split.username) == (target.scheme, target.host, None)
    assert (other.scheme, other.raw_host.decode(), other.userinfo) == (target.scheme, target.host, b"")
    assert target.port == (split.port or {"http": 80, "https": 443}[target.scheme])


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/x", "https://example.com/x"),
        ("x?y=1", "https://example.com/a/x?y=1"),
        ("../x", "https://example.com/x"),
        ("../../x/.././y/", "https://example.com/y/"),
        ("..", "https://example.com/"),
        ("./?y", "https://example.com/a/?y"),
        ("?y", "https://example.com/a/b?y"),
        ("#top", "https://example.com/a/b?c"),
        ("", "https://example.com/a/b?c"),
        ("//other.example.com/x", "https://other.example.com/x"),
        ("https://other.example.com:8443/x", "https://other.example.com:8443/x"),
        ("HTTPS://other.example.com", "https://other.example.com/"),
        ("/Größe x", "https://example.com/Gr%C3%B6%C3%9Fe%20x"),
        ("./http://127.0.0.1/", "https://example.com/a/http://127.0.0.1/"),
    ],
)
def test_a_redirect_is_read_from_where_it_was_given(location: str, leads_to: str) -> None:
    """Relative references as RFC 3986 has them, absolute ones as any other URL."""
    assert follow(parse_url("https://example.com/a/b?c"), location).url == leads_to


@given(st.text(alphabet="ab/\\:.?#@[]%1 \t\nhtps", max_size=20))
def test_a_redirect_gives_a_plain_url_or_is_refused(location: str) -> None:
    """Nothing else comes out, and nothing else is raised."""
    base = parse_url("http://example.com/a/b")
    try:
        target = follow(base, location)
    except Refused:
        return

    assert parse_url(target.url) == target
