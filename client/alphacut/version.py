"""The version of this distribution; GetVersion and GET /v1/version answer it as vX.Y.Z, X being the API's version."""

__version__ = "1.0.0"
