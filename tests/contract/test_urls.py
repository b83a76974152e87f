"""Pictures given as URLs: fetched by the server, and one message for all that can go wrong."""

import hashlib
import json

import pytest

from support.images import KnownPicture
from support.pictures import undecodable_png
from support.rest import PictureSite, RestService, image_part, text_part

MESSAGE = "Can not load image from url."
MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


def test_a_url_gives_what_its_file_gives(rest: RestService, site: PictureSite, picture: KnownPicture) -> None:
    """The same answer as with the file itself, MD5 included."""
    by_file = rest.post(image_part(picture.content, "photo.jpg"))

    by_url = rest.post(text_part("url", site.hold("photo.jpg", picture.content)))

    assert by_url.text == by_file.text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/shoes.jpg?size=large&v=2", "shoes.jpg"),
        ("no-extension", "no-extension"),
        ("black%20shoes.jpg", "black shoes.jpg"),
    ],
)
def test_name_is_the_url_s_last_segment(
    rest: RestService, site: PictureSite, picture: KnownPicture, path: str, name: str
) -> None:
    """Without the query, and readable."""
    site.hold(path.partition("?")[0], picture.content)

    assert rest.post_urlencoded(url=site.url(path)).result.name == name


def test_a_redirect_is_followed(rest: RestService, site: PictureSite, picture: KnownPicture) -> None:
    """Shops and object stores redirect; the name is of the URL that was given."""
    site.hold("cdn/4711", picture.content)
    url = site.web.redirect("/photo.jpg", "/cdn/4711")

    result = rest.post_urlencoded(url=url).result

    assert (result.code, result.name) == ("ok", "photo.jpg")
    assert result.md5 == hashlib.md5(picture.content).hexdigest()


@pytest.mark.parametrize("path", ["missing", "loop", "silent", "cut-short", "endless"])
def test_what_cannot_be_fetched_has_one_message(rest: RestService, site: PictureSite, path: str) -> None:
    """Refused by the site, too slow, broken off, too large: 200, failure, and the documented keys alone."""
    result = rest.post_urlencoded(url=site.url(path)).result

    assert (result.code, result.message) == ("failure", MESSAGE)
    assert result.keys == ("status", "name", "md5", "entities")
    assert result.name == path


def test_md5_is_of_the_bytes_received(rest: RestService, site: PictureSite) -> None:
    """Of what came before the connection broke; of nothing where nothing came."""
    some = rest.post_urlencoded(url=site.url("cut-short")).result
    none = rest.post_urlencoded(url="http://127.0.0.1:1/x.jpg").result

    assert some.md5 == hashlib.md5(site.cut_short).hexdigest()
    assert none.md5 == MD5_OF_NOTHING


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/x.jpg",
        "http://169.254.169.254/x.jpg",
        "http://[::1]/x.jpg",
        "http://127.0.0.2/x.jpg",
        "http://2130706434/x.jpg",
        "http://127.0.0.1:22/x.jpg",
        "ftp://127.0.0.1/x.jpg",
        "file:///etc/x.jpg",
        "data:image/png,x.jpg",
        "http:///x.jpg",
        "/x.jpg",
        "x.jpg",
        "http://no-such-host.invalid/x.jpg",
    ],
)
def test_what_may_not_be_fetched_has_the_same_message(rest: RestService, url: str) -> None:
    """Private addresses, other ports, other schemes, no host: the answer tells nothing of the network behind."""
    answer = json.loads(rest.post(text_part("url", url)).body)["results"][0]

    assert answer["status"] == {"code": "failure", "message": MESSAGE}
    assert answer["md5"] == MD5_OF_NOTHING
    assert answer["entities"] == []


def test_a_redirect_to_where_nobody_may_fetch_is_refused(rest: RestService, site: PictureSite) -> None:
    """Each hop is checked like the first."""
    url = site.web.redirect("/away.jpg", "http://10.0.0.1/x.jpg")

    result = rest.post_urlencoded(url=url).result

    assert (result.message, result.name) == (MESSAGE, "away.jpg")


def test_a_url_of_what_is_no_picture_can_not_be_loaded(rest: RestService, site: PictureSite) -> None:
    """It was fetched well, so the words are those of a file, and so is the MD5."""
    page = b"<html>a page</html>"

    result = rest.post_urlencoded(url=site.hold("page.jpg", page)).result

    assert (result.message, result.name) == ("Can not load image.", "page.jpg")
    assert result.md5 == hashlib.md5(page).hexdigest()


def test_a_url_of_too_many_pixels_is_told_so(rest: RestService, site: PictureSite) -> None:
    """The other limits hold for what was fetched, too."""
    url = site.hold("large.png", undecodable_png(6000, 4000))

    result = rest.post_urlencoded(url=url).result

    assert result.message == "Resolution is too big: 6000x4000. Max allowed resolution: 4096x4096."
