"""Write docs/reference/settings.md from the programs' settings; a test fails when the page is stale.

.venv/bin/python docs/generate_settings.py
"""

from pathlib import Path

from alphacut_gateway import settings as gateway
from alphacut_server import settings as server
from alphacut_server.__main__ import PROGRAM as SERVER_PROGRAM
from alphacut_service import serve
from alphacut_service.settings import describe
from alphacut_service.settings_docs import Program, reference_page

PAGE = Path(__file__).with_name("reference") / "settings.md"


def page() -> str:
    """Return the page's text."""
    return reference_page(
        (
            Program(
                SERVER_PROGRAM,
                "The gRPC server: cuts the foreground out of photos.",
                server.Settings,
                describe(server.Settings, server.ALIASES),
            ),
            Program(
                gateway.PROGRAM,
                gateway.DESCRIPTION,
                gateway.Settings,
                describe(gateway.Settings, gateway.ALIASES),
            ),
            Program(
                serve.PROGRAM,
                serve.DESCRIPTION,
                serve.ServeSettings,
                describe(serve.ServeSettings, serve.ALIASES),
            ),
        )
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
