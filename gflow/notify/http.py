"""One POST over HTTP, without redirects, and with errors that quote neither its URL nor its headers."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gflow.failure import type_name


class NotSent(Exception):
    """A request did not arrive, or was not answered by 2xx."""


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect for an answer: urllib would repeat the headers at any host that it names."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def post(url: str, headers: Mapping[str, str], data: bytes, seconds: float) -> None:
    """Send `data` and return when it is answered by 2xx; `seconds` bounds each wait for the network.

    Raises NotSent.
    """
    try:
        request = Request(url, data, dict(headers), method="POST")  # noqa: S310  # its caller has looked
        build_opener(_NoRedirects).open(request, timeout=seconds).close()
    except HTTPError as error:
        error.close()
        raise NotSent(f"answered {error.code}") from None
    except (InvalidURL, ValueError, TypeError):  # their texts quote what they were given
        raise NotSent("the URL or a header is not valid") from None
    except URLError as error:
        raise NotSent(str(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise NotSent(f"{type_name(error)}: {error}") from None
