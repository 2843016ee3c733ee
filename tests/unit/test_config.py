"""What a good configuration comes to. The bad ones: test_config_bad_files.py."""

from __future__ import annotations

import json
import pickle
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.base.text import is_text
from exporter.config import (
    Config,
    ConfigError,
    PollConfig,
    effective,
    format_duration,
    from_environment,
    keys,
    load,
    parse_duration,
    read_key_file,
)
from exporter.config.environment import NOT_A_UUID
from exporter.config.fields import key_text
from exporter.config.yaml_nodes import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Load = Callable[..., Config]

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "deploy" / "exporter.example.yml"
CA_FILE = ROOT / "tests" / "config" / "ca.pem"

KEY = "s3cret0key1with2as3many4letters5"  # 32 of them, as a real one
MISSING = "must name a file that can be read: No such file or directory"
CREDENTIALS = f"credentials: {{api_key_id: key-id, api_key: {KEY}}}\n"
MINIMAL = CREDENTIALS + "organizations: [{id: acme}]\n"
ANY_SPEED = settings(deadline=None)  # a busy machine is no failure

SECRET_AT = (
    MINIMAL,
    f"credentials:\n  api_key_id: key-id\n  api_key: {KEY}\norganizations:\n  - id: acme\n",
    f"organizations:\n  - id: acme\n    credentials:\n      api_key: {KEY}\n",
)


@pytest.fixture(scope="session")
def load_text(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Load a text as `exporter.yml` from a folder that has `viam.key` beside it."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "viam.key").write_text(f"{KEY}\n")

    def load_it(
        text: str | bytes, environ: Mapping[str, str] | None = None, *, storage: bool = False
    ) -> Config:
        path = folder / "exporter.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
        return load(path, environ or {}, ("org_id", "org_name"), storage=storage)

    return load_it


# --- Defaults and what follows from other keys --------------------------------------------


def test_minimal_file_gets_the_defaults_of_the_contract(load_text: Load) -> None:
    """An API key and an id are enough."""
    config = load_text(MINIMAL)
    assert config.api.address == "app.viam.com:443"
    assert config.api.tls
    assert not config.api.insecure
    assert config.api.ca_file is None
    assert config.api.timeout == 20
    assert config.api.max_concurrency == 32
    assert config.api.max_requests_per_day is None
    assert config.poll.interval == 900
    assert config.poll.max_age is None
    assert config.collectors == ("usage", "billing_information", "invoices")
    assert config.invoices.detail == "open"
    assert config.invoices.max_per_organization == 24
    assert config.budget_usd is None
    assert config.limits.max_series == 2_000_000
    assert not config.discovery.enabled
    (acme,) = config.organizations
    assert (acme.id, acme.name, acme.interval, acme.max_age) == ("acme", "acme", 900, 3600)
    assert (acme.budget_usd, acme.labels) == (None, {})
    assert acme.api_key.id == "key-id"
    assert acme.api_key.secret is not None
    assert acme.api_key.secret.reveal() == KEY


def test_organization_prefers_its_own_values(load_text: Load) -> None:
    """Interval, budget and credentials of an organization stand before those of the file."""
    config = load_text(
        CREDENTIALS
        + """
poll: {interval: 10m}
budget_usd: 100
organizations:
  - id: own
    name: Own
    budget_usd: 0
    labels: {team: fleet}
    poll_interval: 5m
    credentials: {api_key_id: own-id, api_key_file: viam.key}
  - id: default
"""
    )
    own, default = config.organizations
    assert (own.name, own.budget_usd, own.labels) == ("Own", 0, {"team": "fleet"})
    assert (own.interval, own.max_age) == (300, 1200)
    assert own.api_key.id == "own-id"
    assert own.api_key.secret is None
    assert own.api_key.file is not None
    assert own.api_key.file.is_absolute()
    assert (default.budget_usd, default.interval, default.max_age) == (100, 600, 2400)
    assert default.api_key == config.credentials


def test_max_age_is_the_same_for_all_once_it_is_set(load_text: Load) -> None:
    """The default follows the interval of the organization; a set value does not."""
    config = load_text(
        CREDENTIALS
        + "poll: {max_age: 2h}\norganizations: [{id: acme, poll_interval: 1h}, {id: other}]\n"
    )
    assert [organization.max_age for organization in config.organizations] == [7200, 7200]


def test_section_without_content_is_its_default(load_text: Load) -> None:
    """All keys of a section may be commented out, which leaves a null."""
    assert load_text(f"api:\npoll:\n{MINIMAL}").api == load_text(MINIMAL).api


def test_collectors_can_be_switched_off(load_text: Load) -> None:
    """The enabled collectors keep their order."""
    assert load_text(f"collectors: {{usage: false}}\n{MINIMAL}").collectors == (
        "billing_information",
        "invoices",
    )


def test_daily_ceiling_is_accepted_with_storage(load_text: Load) -> None:
    """Where the count outlives a restart, a ceiling means something."""
    config = load_text(f"api: {{max_requests_per_day: 1000}}\n{MINIMAL}", storage=True)
    assert config.api.max_requests_per_day == 1000


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_plain_text_is_allowed_on_loopback(load_text: Load, host: str) -> None:
    """What stays on the machine needs no encryption."""
    config = load_text(f"api: {{address: '{host}:8080', tls: false}}\n{MINIMAL}")
    assert not config.api.tls


@pytest.mark.parametrize("host", ["app.viam.com", "127.example.com", "10.0.0.1", "[::2]", "[::]"])
def test_plain_text_elsewhere_is_allowed_only_as_insecure(load_text: Load, host: str) -> None:
    """Everything else than loopback needs the word."""
    section = f"address: '{host}:80', tls: false"
    with pytest.raises(ConfigError, match=r"api\.tls"):
        load_text(f"api: {{{section}}}\n{MINIMAL}")
    assert load_text(f"api: {{{section}, insecure: true}}\n{MINIMAL}").api.insecure


def test_file_with_certificates_is_accepted(load_text: Load) -> None:
    """The authorities that are trusted come from a PEM file."""
    assert load_text(f"api: {{ca_file: {CA_FILE}}}\n{MINIMAL}").api.ca_file == CA_FILE


def test_models_made_in_code_take_seconds() -> None:
    """Only in a file a duration needs a unit."""
    assert PollConfig(interval=0.5).interval == 0.5


# --- YAML ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["no", "on", "12:30", "08", "010", "0x10", "1_000", "2026-01-31"])
def test_yaml_1_1_surprises_are_strings(load_text: Load, text: str) -> None:
    """Norway is no boolean, and half past twelve no number."""
    config = load_text(f"{CREDENTIALS}organizations: [{{id: acme, labels: {{a: {text}}}}}]\n")
    assert config.organizations[0].labels == {"a": text}


@pytest.mark.parametrize("text", ["250", "250.", "2.5e+2", '"250"', "'2.5E2'", "+250"])
def test_number_may_stand_in_quotes(load_text: Load, text: str) -> None:
    """Expanding a variable gives a string, and a number must be able to come from one."""
    assert load_text(f"budget_usd: {text}\n{MINIMAL}").budget_usd == 250


@pytest.mark.parametrize(("text", "value"), [("True", True), ("'false'", False), ("FALSE", False)])
def test_boolean_is_true_or_false(load_text: Load, text: str, value: bool) -> None:  # noqa: FBT001
    """In any case without quotes, as in YAML, and in lower case from a variable."""
    assert ("usage" in load_text(f"collectors: {{usage: {text}}}\n{MINIMAL}").collectors) == value


def test_anchors_save_typing(load_text: Load) -> None:
    """Aliases are fine as long as they do not multiply."""
    config = load_text(
        "organizations:\n"
        f"  - {{id: acme, credentials: &key {{api_key_id: key-id, api_key: {KEY}}}}}\n"
        "  - {id: other, credentials: *key}\n"
    )
    assert [organization.api_key.id for organization in config.organizations] == ["key-id"] * 2


def test_byte_order_mark_is_ignored(load_text: Load) -> None:
    """Some editors write one."""
    assert load_text(b"\xef\xbb\xbf" + MINIMAL.encode()).organizations[0].id == "acme"


def test_ten_thousand_organizations_load(load_text: Load) -> None:
    """The limits on size and nodes leave room for the largest installation, fully spelled out."""
    entries = "".join(
        f"- id: 3c59dc04-8e88-4d24-8c5b-{index:012}\n"
        f"  name: Acme {index}\n"
        "  labels: {team: fleet}\n"
        "  budget_usd: 250\n"
        "  poll_interval: 5m\n"
        f"  credentials: {{api_key_id: key-{index}, api_key_file: viam.key}}\n"
        for index in range(10_000)
    )
    assert len(load_text(f"organizations:\n{entries}").organizations) == 10_000


def test_file_above_2_mb_is_refused(load_text: Load) -> None:
    """A wrong path may lead to anything."""
    with pytest.raises(ConfigError, match=r"must not be larger than 2 MB$"):
        load_text(MINIMAL + "#" * 2_000_000)


def test_missing_file_is_named() -> None:
    """A file that cannot be read is a problem of the file, without a line."""
    with pytest.raises(ConfigError) as caught:
        load(Path("nowhere/exporter.yml"), {}, ())
    assert str(caught.value) == "nowhere/exporter.yml: cannot be read: No such file or directory"


def test_scanner_without_libyaml_shows_no_text_either() -> None:
    """PyYAML's own scanner quotes what it found, and what it found may be the key."""
    with pytest.raises(ConfigError) as caught:
        parse("credentials:\n  api_key: !s3c!ret", "exporter.yml", {}, loader=yaml.SafeLoader)
    assert str(caught.value) == "exporter.yml:2: is not valid YAML: syntax error"


# --- The environment in values ------------------------------------------------------------


def name_of(config: Config) -> str:
    """Return the name of the only organization."""
    return config.organizations[0].name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("${A}", "first"),
        ("'${A} and ${B}!'", "first and second!"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A} $$", "$A $ {A} $$"),
        ("${NESTED}", "${A}"),
        ("${YAML}", "x, budget_usd: 1}"),
    ],
)
def test_variables_expand_once(load_text: Load, text: str, name: str) -> None:
    """What comes out is text: neither a variable nor YAML is found in it again."""
    environ = {"A": "first", "B": "second", "NESTED": "${A}", "YAML": "x, budget_usd: 1}"}
    text = f"{CREDENTIALS}organizations:\n- id: acme\n  name: {text}\n"
    assert name_of(load_text(text, environ)) == name


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t\n\n"])
def test_white_space_at_the_ends_of_a_variable_is_no_part_of_it(load_text: Load, end: str) -> None:
    """Secrets of Kubernetes often end in a line end. What is inside stays."""
    environ = {"KEY": f"{end}{KEY}{end}", "NAME": f"two  words{end}", "COUNT": f"7{end}"}
    config = load_text(
        "credentials: {api_key_id: key-id, api_key: '${KEY}'}\nbudget_usd: ${COUNT}\n"
        "organizations: [{id: acme, name: 'a ${NAME} b'}]\n",
        environ,
    )
    assert config.credentials is not None
    assert config.credentials.secret is not None
    assert config.credentials.secret.reveal() == KEY
    assert (name_of(config), config.budget_usd) == ("a two  words b", 7)
    account = {"VIAM_ORG_ID": "acme", "VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY": KEY}
    padded = {name: f"{end}{value}{end}" for name, value in account.items()}
    assert from_environment(padded) == from_environment(account)
    assert from_environment(dict.fromkeys(account, end)) is None


def test_keys_do_not_expand(load_text: Load) -> None:
    """A variable can change values, not the shape of the file."""
    with pytest.raises(ConfigError, match="unknown key"):
        load_text(f"${{A}}: {{interval: 1h}}\n{MINIMAL}", {"A": "poll"})


def test_expanded_text_is_not_in_the_message(load_text: Load) -> None:
    """What a variable holds may be a secret, whatever key it got to."""
    with pytest.raises(ConfigError) as caught:
        load_text(f"poll: {{interval: '${{A}}'}}\nbudget_usd: ${{A}}\n{MINIMAL}", {"A": KEY})
    assert len(caught.value.problems) == 2
    assert KEY not in str(caught.value)


# --- Key files ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_line_end_is_not_part_of_the_key(tmp_path: Path, end: str) -> None:
    """Editors and `echo` put one there."""
    path = tmp_path / "viam.key"
    path.write_bytes(f"{KEY}{end}".encode())
    assert read_key_file(path).reveal() == KEY


def test_key_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    """Not even its beginning is taken for a key."""
    path = tmp_path / "viam.key"
    path.write_text("x" * 100_000)
    with pytest.raises(ValueError, match="nothing else"):
        read_key_file(path)


def test_key_file_is_relative_to_the_configuration(load_text: Load) -> None:
    """Not to where the exporter was started."""
    config = load_text(
        "credentials: {api_key_id: key-id, api_key_file: viam.key}\norganizations: [{id: acme}]\n"
    )
    assert config.credentials is not None
    assert config.credentials.secret is None
    assert config.credentials.file is not None
    assert config.credentials.file.read_text() == f"{KEY}\n"


def test_an_id_may_be_in_a_file(load_text: Load) -> None:
    """The key then goes by the file's path, which stays when a rotation changes the id."""
    config = load_text(
        "credentials: {api_key_id_file: viam.key, api_key_file: viam.key}\n"
        "organizations: [{id: acme}]\n"
    )
    assert config.credentials is not None
    assert config.credentials.id_file is not None
    assert config.credentials.id == str(config.credentials.id_file)
    assert config.credentials.id_file.read_text() == f"{KEY}\n"
    shown = yaml.safe_load(effective(config))["credentials"]
    assert shown == {
        "api_key_id_file": config.credentials.id,
        "api_key_file": config.credentials.id,
    }
    assert load_text(effective(config)) == config


# --- Secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("api_kye", True),
        ("apikey", True),
        ("API-Key", True),
        ("api_keys", True),
        ("ap_key", True),
        ("api_kex_file", True),
        ("apiKeyId", True),
        ("my_key_id", False),
        ("api_kez1", False),
    ],
)
def test_a_small_slip_under_credentials_is_named(load_text: Load, key: str, *, shown: bool) -> None:
    """One letter, or two that changed places; more than that is hidden."""
    credentials = f"credentials: {{{key}: x}}"
    for text in (credentials, f"organizations: [{{{credentials}}}]"):
        with pytest.raises(ConfigError) as caught:
            load_text(text)
        assert (f"credentials.{key}: unknown key: " in str(caught.value)) is shown
        assert (key in str(caught.value)) is shown


SECRETS = (
    st.from_regex("[a-z0-9]{32}", fullmatch=True)  # as Viam's keys are
    | st.uuids().map(str)  # as their ids are
    | st.text(set(string.printable) - set("_-" + string.whitespace), min_size=5)
)
HEADS = st.sampled_from(["", "api_key", "api_key:", "api_key=", "api_key_", "api-key-id:", "a"])


@given(secret=SECRETS, head=HEADS)
@ANY_SPEED
def test_a_secret_that_became_a_key_is_not_shown(load_text: Load, secret: str, head: str) -> None:
    """By a forgotten space, or a line of its own: whatever its length and letters."""
    assert key_text(("credentials", head + secret)) == "credentials"
    with pytest.raises(ConfigError) as caught:
        load_text(f"credentials: {{{json.dumps(head + secret)}: x}}")
    assert secret not in str(caught.value)


def test_secrets_cannot_leave_by_accident(load_text: Load) -> None:
    """Neither printing nor pickling nor the effective configuration shows one."""
    config = load_text(MINIMAL)
    for text in (repr(config), str(config), f"{config}", effective(config)):
        assert KEY not in text
        assert "<secret>" in text
    with pytest.raises(TypeError):
        pickle.dumps(config)


def test_error_can_be_pickled_and_printed_without_secrets(load_text: Load) -> None:
    """An error has only places and rules in it, and no exception behind it that has more."""
    with pytest.raises(ConfigError) as caught:
        load_text(f"{CREDENTIALS.replace(KEY, KEY + ' x')}organizations: [{{id: 1}}]\n")
    error = caught.value
    assert KEY.encode() not in pickle.dumps(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - made here
    assert KEY not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


@ANY_SPEED
@given(data=st.data())
def test_damaged_file_does_not_show_the_secret(load_text: Load, data: st.DataObject) -> None:
    """Whatever is forgotten or mistyped around a key, the message leaves the key out."""
    before, after = data.draw(st.sampled_from(SECRET_AT)).split(KEY)
    start = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(start, len(before)))
    typed = data.draw(st.text(":,?{}[]-&*!|>'\"#%@$ \n\t", max_size=2))
    try:
        load_text(before[:start] + typed + before[end:] + KEY + after)
    except ConfigError as error:
        assert KEY not in str(error)  # noqa: PT017 - a file that still loads is fine


# --- The account in the environment -------------------------------------------------------


def test_environment_without_our_variables_is_no_configuration() -> None:
    """None, or only empty ones, leaves the other ways in."""
    assert from_environment({"HOME": "/"}) is None
    assert from_environment({"VIAM_ORG_ID": "", "VIAM_API_KEY": ""}) is None


def test_environment_configures_one_account() -> None:
    """All organizations share the key, and everything else is the default."""
    config = from_environment(
        {"VIAM_ORG_ID": "acme, other,", "VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY": KEY}
    )
    assert config is not None
    assert [organization.id for organization in config.organizations] == ["acme", "other"]
    acme = config.organizations[0]
    assert (acme.name, acme.interval, acme.max_age) == ("acme", 900, 3600)
    assert acme.api_key is config.credentials
    assert acme.api_key.secret is not None
    assert acme.api_key.secret.reveal() == KEY


def test_without_an_organization_the_environment_has_the_keys() -> None:
    """They are discovered, and so are their names."""
    config = from_environment({"VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY": KEY})
    assert config is not None
    assert (config.organizations, config.discovery.enabled) == ((), True)
    assert [each.id for each in config.api_keys] == ["key-id"]
    assert config.doubts == ()


@pytest.mark.parametrize(
    ("ids", "is_doubtful"),
    [
        ("3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01", False),
        ("3C59DC04-8E88-4D24-8C5B-1F4D2A6E7A01", False),
        ("MyOrg", True),
        ("3c59dc048e884d248c5b1f4d2a6e7a01", True),
        ("3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01,MyOrg", True),
    ],
)
def test_an_organization_that_is_no_uuid_is_doubted(ids: str, is_doubtful: bool) -> None:  # noqa: FBT001 - a case
    """It is valid, for nobody says what ids are; its value is not repeated, it may be the key."""
    config = from_environment(
        {"VIAM_ORG_ID": ids, "VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY": KEY}
    )
    assert config is not None
    assert config.doubts == ((NOT_A_UUID,) if is_doubtful else ())
    assert "MyOrg" not in NOT_A_UUID
    assert not config.discovery.enabled


def test_environment_may_name_a_key_file(tmp_path: Path) -> None:
    """The file is checked now and read when it is needed."""
    path = tmp_path / "viam.key"
    path.write_text(KEY)
    config = from_environment(
        {"VIAM_ORG_ID": "acme", "VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY_FILE": str(path)}
    )
    assert config is not None
    assert config.organizations[0].api_key.file == path


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (
            {"VIAM_ORG_ID": " , "},
            ["VIAM_ORG_ID: must be an organization id, or several, comma-separated"],
        ),
        ({"VIAM_ORG_ID": "acme,acme"}, ["VIAM_ORG_ID: must not name an organization twice"]),
        (
            {"VIAM_ORG_ID": "ac\x07me", "VIAM_API_KEY_ID": "key\x07"},
            [
                "VIAM_ORG_ID: must not contain control or invisible characters",
                "VIAM_API_KEY_ID: must not contain control or invisible characters",
            ],
        ),
        (
            {"VIAM_API_KEY_ID": "", "VIAM_API_KEY": ""},
            [
                "VIAM_API_KEY_ID: must be set to the id of the API key",
                "VIAM_API_KEY: must be set to the API key, or VIAM_API_KEY_FILE to its file",
            ],
        ),
        (
            {"VIAM_API_KEY_FILE": "viam.key"},
            ["VIAM_API_KEY: must not be set together with VIAM_API_KEY_FILE: keep one"],
        ),
        (
            {"VIAM_API_KEY": f"{KEY}\n{KEY}"},
            ["VIAM_API_KEY: must be a single line"],
        ),
        (
            {"VIAM_ORG_ID": "\n", "VIAM_API_KEY_ID": " "},
            ["VIAM_API_KEY_ID: must be set to the id of the API key"],
        ),
        (
            {"VIAM_API_KEY": "", "VIAM_API_KEY_FILE": "/nowhere/viam.key"},
            [f"VIAM_API_KEY_FILE: {MISSING} in /"],
        ),
    ],
)
def test_environment_problems_name_the_variable(
    changes: dict[str, str], problems: list[str]
) -> None:
    """All that is missing or contradictory is told at once, without a value."""
    environ = {"VIAM_ORG_ID": "acme", "VIAM_API_KEY_ID": "key-id", "VIAM_API_KEY": KEY}
    with pytest.raises(ConfigError) as caught:
        from_environment(environ | changes)
    assert str(caught.value).splitlines() == [f"environment: {problem}" for problem in problems]


# --- Durations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("100ms", 0.1),
        ("1h30m", 5400),
        ("90m", 5400),
        ("1d", 86_400),
        ("1w2d", 9 * 86_400),
        ("1y", 365 * 86_400),
        ("1y1w1d1h1m1s1ms", 32_230_861.001),
    ],
)
def test_duration_has_the_notation_of_prometheus(text: str, seconds: float) -> None:
    """Units from the largest to the smallest, each at most once."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "15",
        "s",
        "-1s",
        "1.5h",
        "1h 30m",
        "30m1h",
        "1s1s",
        "0s",
        "0h0m",
        "\u0661s",
        "1M",
        "300y",
    ],
)
def test_other_notations_are_refused(text: str) -> None:
    """What Prometheus would not read, or would read as nothing, is refused."""
    with pytest.raises(ValueError, match="must"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (900, "15m"), (5400, "1h30m"), (129_600, "36h"), (691_200, "8d"), (0.25, "250ms")],
)
def test_duration_is_printed_as_prometheus_does(seconds: float, text: str) -> None:
    """Days, weeks and years only when nothing smaller is left over."""
    assert format_duration(seconds) == text


@ANY_SPEED
@given(st.integers(min_value=1, max_value=9_000_000_000_000))
def test_printed_duration_reads_back(milliseconds: int) -> None:
    """Nothing is lost between the two, down to the millisecond."""
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


# --- The effective configuration ----------------------------------------------------------

AWKWARD = [
    "no",
    "1e5",
    "08",
    "12:30",
    "~",
    "0x1F",
    "1_0",
    "2026-01-31",
    "=",
    "<<",
    "!x",
    "- a",
    "${A",
]
TEXTS = st.sampled_from(AWKWARD) | st.text(min_size=1).filter(str.isprintable)
NAMES = TEXTS | st.text(min_size=1).filter(is_text)
DURATIONS = st.integers(min_value=1, max_value=10**10).map(lambda ms: format_duration(ms / 1000))
WHOLE_NUMBERS = st.integers(min_value=1, max_value=10**17)
BUDGETS = st.none() | st.floats(min_value=0, allow_infinity=False)
OWN_CREDENTIALS = st.fixed_dictionaries({"api_key_id": TEXTS, "api_key_file": st.just("viam.key")})
LABEL_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(
    lambda name: name not in {"job", "instance", "severity", "alertname", "org_id", "org_name"}
)
ENTRIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"id": TEXTS},
    optional={
        "name": NAMES,
        "budget_usd": BUDGETS,
        "labels": st.dictionaries(LABEL_NAMES, NAMES, max_size=3),
        "poll_interval": DURATIONS,
        "credentials": OWN_CREDENTIALS,
    },
)
REQUIRED: dict[str, st.SearchStrategy[Any]] = {
    "credentials": OWN_CREDENTIALS,
    "organizations": st.lists(ENTRIES, min_size=1, max_size=4, unique_by=lambda entry: entry["id"]),
}
FILES = st.fixed_dictionaries(
    REQUIRED,
    optional={
        "api": st.fixed_dictionaries(
            {},
            optional={
                "address": st.sampled_from(["localhost:80", "[::1]:65535"]),
                "tls": st.booleans(),
                "ca_file": st.sampled_from([None, str(CA_FILE)]),
                "timeout": DURATIONS,
                "max_concurrency": WHOLE_NUMBERS,
                "max_requests_per_day": st.none() | WHOLE_NUMBERS,
            },
        ).map(lambda api: {"address": "localhost:1"} | api),
        "poll": st.fixed_dictionaries({}, optional={"interval": DURATIONS}),
        "collectors": st.just({"usage": False}),
        "invoices": st.fixed_dictionaries(
            {"detail": st.sampled_from(["none", "open", "all"])},
            optional={"max_per_organization": WHOLE_NUMBERS},
        ),
        "budget_usd": BUDGETS,
        "limits": st.fixed_dictionaries({"max_series": WHOLE_NUMBERS}),
        "discovery": st.fixed_dictionaries({"refresh": DURATIONS}),
    },
)


@ANY_SPEED
@given(file=FILES)
def test_effective_configuration_loads_as_the_same(load_text: Load, file: dict[str, Any]) -> None:
    """It is a file in its own right, whatever the strings look like to YAML."""
    text = yaml.safe_dump(file, allow_unicode=True).replace("${", "$${")
    config = load_text(text, storage=True)
    assert load_text(effective(config), storage=True) == config


def test_effective_configuration_says_everything(load_text: Load) -> None:
    """It has every key of the file, and loads once the secrets are put back."""
    text = effective(load_text(MINIMAL))
    assert file_keys(yaml.safe_load(text)) >= {
        key.path for key in keys() if not key.path.endswith(("api_key_file", "api_key_id_file"))
    }
    assert list(yaml.safe_load(text)) == [key.path for key in keys() if "." not in key.path]
    again = load_text(text.replace("<secret>", KEY))
    assert effective(again) == text


# --- Fuzz ---------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | TEXTS
SHAPES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([key.path.split(".")[-1] for key in keys()]) | st.text(), inner
        )
    ),
    max_leaves=20,
)


def loads_or_says_why(load_text: Load, text: str | bytes) -> None:
    """Load; the only exception is ConfigError, and it has at least one line."""
    try:
        load_text(text, {"A": "1"})
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - both outcomes are fine
        assert len(str(error).splitlines()) == len(error.problems)  # noqa: PT017


@ANY_SPEED
@given(text=st.text() | st.binary() | st.text("ab:-[]{}&*!?|>'\"#%@,\n \t$<1.~", min_size=1))
def test_any_text_gives_a_configuration_or_a_config_error(
    load_text: Load, text: str | bytes
) -> None:
    """No input ends in another exception."""
    loads_or_says_why(load_text, text)


@ANY_SPEED
@given(file=SHAPES | st.fixed_dictionaries(dict.fromkeys(("api", "organizations"), SHAPES)))
def test_any_shape_gives_a_configuration_or_a_config_error(load_text: Load, file: object) -> None:
    """Nor does any value in any place."""
    loads_or_says_why(load_text, yaml.safe_dump(file))


# --- The reference and the example --------------------------------------------------------


def file_keys(value: object, path: str = "") -> set[str]:
    """Return the paths of all keys in a file's data; names of labels are no keys."""
    if isinstance(value, dict) and not path.endswith("labels"):
        found = set()
        for key, child in value.items():
            here = f"{path}.{key}" if path else key
            found |= {here} | file_keys(child, here)
        return found
    if isinstance(value, list):
        return set().union(*(file_keys(item, f"{path}[]") for item in value))
    return set()


def test_example_file_loads(tmp_path: Path) -> None:
    """What a newcomer copies works once the variables are set."""
    path = tmp_path / "acme.key"
    path.write_text(KEY)
    environ = {
        "VIAM_API_KEY_ID": "key-id",
        "VIAM_API_KEY": KEY,
        "ACME_API_KEY_ID_FILE": str(path),
        "ACME_API_KEY_FILE": str(path),
    }
    config = load(EXAMPLE, environ, ("org_id", "org_name"))
    assert [organization.interval for organization in config.organizations] == [900, 300]
    assert config.organizations[1].labels == {"team": "fleet", "environment": "production"}


def test_example_file_has_every_key_and_no_other() -> None:
    """One credentials section shows an id and a key, the other, as it must, files of them."""

    def same_credentials(paths: set[str]) -> set[str]:
        return {path.replace("organizations[].credentials", "credentials") for path in paths}

    in_example = file_keys(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    assert same_credentials(in_example) == same_credentials({key.path for key in keys()})


def test_example_file_shows_the_defaults() -> None:
    """The values outside of credentials and organizations are the ones without a file."""
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for key in keys():
        top, *rest = key.path.split(".")
        if rest and top not in {"credentials", "organizations[]"}:
            assert yaml.safe_load(str(key.default)) == example[top][rest[0]], key.path


def test_every_key_is_described() -> None:
    """Type, description and place make the reference; the order is that of the file."""
    by_path = {key.path: key for key in keys()}
    assert len(by_path) == len(keys())
    assert all(key.type and key.description.endswith(".") for key in keys())
    assert by_path["organizations[].id"].default is None
    assert by_path["poll.interval"].default == "15m"
    assert by_path["invoices.detail"].type == "none | open | all"
    assert by_path["organizations[].labels"].type == "mapping of label name to string"
    assert by_path["organizations[].credentials.api_key"].type == "secret string"
