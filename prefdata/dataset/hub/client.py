"""The Hugging Face hub's client, with errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from prefdata.errors import ConfigError, HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

DATASET = "dataset"
"""What the hub calls the type of these repositories."""
TOO_MANY = 429
TRIES = 6
"""Of a call that the hub's rate limit refuses."""
LONGEST_WAIT = 600
"""Seconds that are waited at most before a call is made again."""
_SETTING = "the environment's HF_TOKEN, --token-file or `hf auth login`"

Result = TypeVar("Result")


def open_hub(token_file: str | None = None) -> HfApi:
    """The client, for the hub that HF_ENDPOINT names, or huggingface_hub's own.

    Args:
        token_file: A file with the token; None: the one that huggingface_hub finds.

    Raises:
        ConfigError: The file can't be read.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    if token_file is None:
        return HfApi(library_name="prefdata")
    try:
        token = Path(token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {token_file}: can't be read", "Name another.") from error
    if not token:
        raise ConfigError(f"--token-file {token_file}: it is empty", "Put the token into it.")
    return HfApi(library_name="prefdata", token=token)


def call(repo: str, ask: Callable[[], Result], note: Callable[[str], None] | None = None) -> Result:
    """The result of a call of the hub, made again as long as its rate limit asks to wait.

    Args:
        repo: The repository that it is about, for errors.
        ask: Makes the call.
        note: Told before a wait.

    Raises:
        ConfigError: The token is missing, wrong or without the right.
        HubError: The hub refuses, fails or can't be reached.
    """
    from huggingface_hub.errors import HfHubHTTPError

    with _explain_errors(repo):
        for number in range(1, TRIES + 1):
            try:
                return ask()
            except HfHubHTTPError as error:
                if error.response.status_code != TOO_MANY or number == TRIES:
                    raise
                seconds = _read_wait(error, number)
                if note:
                    note(f"the hub's rate limit is reached: going on in {seconds} s")
                time.sleep(seconds)
    raise AssertionError


def _read_wait(error: HfHubHTTPError, number: int) -> int:
    """The seconds that the hub asks to wait; doubled each time where it does not say."""
    from huggingface_hub.utils import parse_ratelimit_headers

    headers = error.response.headers
    said = headers.get("Retry-After", "")
    if said.isdecimal():
        return min(int(said), LONGEST_WAIT)
    limit = parse_ratelimit_headers(headers)
    return min(limit.reset_in_seconds + 1 if limit else 2**number, LONGEST_WAIT)


@contextmanager
def _explain_errors(repo: str) -> Iterator[None]:
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise ConfigError("no token for the Hugging Face hub", f"Set {_SETTING}.") from error
    except HFValidationError as error:
        raise ConfigError(f"{repo}: no name of a repository", "Name one as OWNER/NAME.") from error
    except OfflineModeIsEnabled as error:
        raise HubError(
            "the hub is not asked: HF_HUB_OFFLINE is set", "Unset it; --dry-run works without."
        ) from error
    except RepositoryNotFoundError as error:
        raise ConfigError(
            f"{repo}: no such dataset on the hub, or this token may not see it",
            f"Check the name, and {_SETTING}.",
        ) from error
    except RevisionNotFoundError as error:
        raise ConfigError(
            f"{repo}: has no such revision", "Check the name after @: a tag, branch or commit."
        ) from error
    except RemoteEntryNotFoundError as error:
        raise ConfigError(
            f"{repo}: prefdata did not publish it, or part of it is missing: "
            f"{str(error.response.url).rpartition('/resolve/')[2]} is not there",
            "Name a dataset that `prefdata publish` made.",
        ) from error
    except HfHubHTTPError as error:
        raise _explain(repo, error) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise HubError(
            f"{repo}: the hub can't be reached: {str(error) or type(error).__name__}",
            "Check the network, then run again: what was transferred is kept.",
        ) from error


def _explain(repo: str, error: HfHubHTTPError) -> ConfigError | HubError:
    code = error.response.status_code
    said = f": {error.server_message}" if error.server_message else ""
    if code == 401:
        return ConfigError(f"the hub does not know this token{said}", f"Check {_SETTING}.")
    if code == 403:
        return ConfigError(
            f"{repo}: this token may not write there{said}",
            "Take a token with the right to write, of a member of that organisation.",
        )
    if code == TOO_MANY:
        return HubError(
            f"{repo}: the hub's rate limit is reached, and stays so{said}",
            "Run again later: what was transferred is kept.",
        )
    if code in (409, 412):
        return HubError(
            f"{repo}: somebody else changed it meanwhile{said}", "Run again, and look at it before."
        )
    return HubError(
        f"{repo}: the hub refuses, or fails (HTTP {code}){said}",
        "Run again: what was transferred is kept.",
    )
