"""One account from environment variables, for those who need no file."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from exporter.base import files
from exporter.base.text import from_system
from exporter.config.effective import Config
from exporter.config.problem import ConfigError, Problem
from exporter.config.schema import DiscoveryConfig, PollConfig
from exporter.config.values import read_key_file, secret
from exporter.model import ApiKey, Organization

KEY_FILE = "VIAM_API_KEY_FILE"
NOT_A_UUID = (
    #: The variable may hold a name.
    "VIAM_ORG_ID is not a UUID, as organization ids at Viam are: copy it from the organization's "
    "settings, or unset it to use every organization of the key"
)
VARIABLES = ("VIAM_ORG_ID", "VIAM_API_KEY_ID", "VIAM_API_KEY", KEY_FILE)


def from_environment(environ: Mapping[str, str]) -> Config | None:
    """Return a configuration with one API key for the organizations in `VIAM_ORG_ID`.

    If that is not set, for all that the key reads.

    None if none of the variables is set; an empty one is not set, as container tools cannot
    leave one out, and white space at the ends of one is not part of it. Raises ConfigError, with
    the variables as keys, if they do not fit together.
    """
    given = {
        name: text if name == KEY_FILE else from_system(text)
        for name in VARIABLES
        if (text := environ.get(name, "").strip())
    }
    if not given:
        return None
    problems: dict[str, str] = {}
    ids = _organization_ids(given["VIAM_ORG_ID"], problems) if "VIAM_ORG_ID" in given else []
    api_key = _api_key(given, problems)
    if problems:
        raise ConfigError(
            Problem("environment", None, name, problems[name])
            for name in VARIABLES
            if name in problems
        )
    poll = PollConfig()
    return Config(
        organizations=tuple(
            Organization(org_id, org_id, api_key, poll.interval, poll.max_age_at(poll.interval))
            for org_id in ids
        ),
        credentials=api_key,
        discovery=DiscoveryConfig(enabled=not ids),
        doubts=() if all(map(_is_uuid, ids)) else (NOT_A_UUID,),
    )


def _organization_ids(text: str, problems: dict[str, str]) -> list[str]:
    """Split `VIAM_ORG_ID`. White space around an id and a comma at the end do no harm."""
    ids = [part.strip() for part in text.split(",") if part.strip()]
    if not ids:
        problems["VIAM_ORG_ID"] = "must be an organization id, or several, comma-separated"
    elif len(set(ids)) < len(ids):
        problems["VIAM_ORG_ID"] = "must not name an organization twice"
    elif not all(map(str.isprintable, ids)):
        problems["VIAM_ORG_ID"] = "must not contain control or invisible characters"
    return ids


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _api_key(given: Mapping[str, str], problems: dict[str, str]) -> ApiKey:
    """Make the API key of the two or three variables. Useless if it adds to `problems`."""
    key_id = given.get("VIAM_API_KEY_ID", "")
    text, file = given.get("VIAM_API_KEY"), given.get(KEY_FILE)
    if not key_id:
        problems["VIAM_API_KEY_ID"] = "must be set to the id of the API key"
    elif not key_id.isprintable():
        problems["VIAM_API_KEY_ID"] = "must not contain control or invisible characters"
    if text and file:
        problems["VIAM_API_KEY"] = "must not be set together with VIAM_API_KEY_FILE: keep one"
    elif text:
        try:
            return ApiKey(key_id, secret=secret(text))
        except ValueError as error:
            problems["VIAM_API_KEY"] = str(error)
    elif file:
        try:
            path = files.absolute(files.named(file))
            read_key_file(path)
            return ApiKey(key_id, file=path)
        except ValueError as error:
            problems[KEY_FILE] = str(error)
    else:
        problems["VIAM_API_KEY"] = "must be set to the API key, or VIAM_API_KEY_FILE to its file"
    return ApiKey(key_id)
