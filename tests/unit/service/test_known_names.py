"""The lists of variables are those of the programs."""

from alphacut_gateway import settings as gateway_settings
from alphacut_server import settings as server_settings
from alphacut_service import known_names, serve
from alphacut_service.fields import describe
from alphacut_service.settings_docs import environment_names


def test_server_list_is_what_the_server_defines() -> None:
    """A new setting of the server is told to the other programs."""
    defined = environment_names(describe(server_settings.Settings, server_settings.ALIASES))

    assert defined == known_names.SERVER


def test_gateway_list_is_what_the_gateway_defines() -> None:
    """A new setting of the gateway is told to the other programs."""
    defined = environment_names(describe(gateway_settings.Settings, gateway_settings.ALIASES))

    assert defined == known_names.GATEWAY


def test_serve_uses_the_names_of_the_programs_it_starts() -> None:
    """What `alphacut serve` hands on, one of the programs takes."""
    handed_on = environment_names(describe(serve.ServeSettings, serve.ALIASES))

    assert handed_on <= known_names.EVERYWHERE
