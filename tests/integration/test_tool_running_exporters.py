"""Commands that ask the real exporter: they read all of its API, and show its numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from exporter.tool.api_answers import DayLine, Failing, OrganizationLine, Shard, Withheld
from exporter.tool.usage_lines import COLUMNS, OF_THE_BUDGET
from support.certificates import Authority
from support.process import ROOT, Exporter, exporter, get, parse, until
from support.standing import ACCOUNTS, command, simulated, standing, within

SPEND = "viam_billing_backfill_day_spend_usd"
ODD = ["a/b", "a b", "..", ".", "%2F", "日本", "?x=1#y", "a+b", "%"]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the configuration of three organizations, while there is a service."""
    with simulated(tmp_path_factory.mktemp("running"), "--organizations=3") as file:
        yield file


@pytest.fixture(scope="module")
def there(configuration: Path) -> Iterator[Exporter]:
    """Return an exporter that has polled them all."""
    with exporter(f"--config.file={configuration}") as it:
        it.wait_until_ready()
        yield it


def flag(it: Exporter) -> str:
    """Return the argument that names an exporter."""
    return f"--exporter=http://localhost:{it.port}"


def listed(it: Exporter, path: str = "") -> Any:
    """Return what an exporter answers."""
    return json.loads(get(it.port, f"/api/v1/organizations{path}").text)


def polled_once(file: Path) -> str:
    """Have nothing polled again for a while; returns the argument that names the configuration."""
    settings = yaml.safe_load(file.read_text())
    file.write_text(json.dumps(settings | {"poll": {"interval": "1h"}}))
    return f"--config.file={file}"


def test_what_is_read_is_what_the_schema_says() -> None:
    """Name by name, so that nothing of an answer is passed over."""
    schema = json.loads((ROOT / "docs" / "api.schema.json").read_text())["$defs"]
    for model, name in (
        (OrganizationLine, "Organization"),
        (Failing, "Failure"),
        (Withheld, "Withheld"),
        (Shard, "Shard"),
        (DayLine, "Day"),
    ):
        assert set(model.model_fields) == set(schema[name]["properties"]), name


def test_usage_is_what_the_exporter_knows(tmp_path: Path) -> None:
    """In JSON name by name, on the page of metrics number by number; without a configuration."""
    (tmp_path / "service").mkdir()
    with standing(tmp_path / "service") as service, exporter(polled_once(service.file)) as there:
        there.wait_until_ready()
        done = command("usage", "--output=json", flag(there), folder=tmp_path)
        known = listed(there)["organizations"]
        page = parse(there.scrape())
        whole = listed(there, f"/{known[0]['org_id']}")
    assert done.returncode == 0, done.stderr
    shown = {each["org_id"]: each for each in json.loads(done.stdout)["organizations"]}
    of_the_bill = dict.fromkeys(("gross_usd", "discount_usd", "subtotal_usd", "costs"))
    for each in shown.values():
        for name, usd in OF_THE_BUDGET.items():
            share, budget = each.pop(name), each["budget_usd"]
            assert share == (each[usd] / budget if budget else None)
    assert shown == {each["org_id"]: each | of_the_bill for each in known}
    month_to_date = {
        dict(labels)["org_id"]: value
        for (name, labels), value in page.items()
        if name == "viam_billing_usage_month_to_date_usd"
    }
    assert {org_id: each["month_to_date_usd"] for org_id, each in shown.items()} == month_to_date
    assert len(shown) == len(ACCOUNTS)
    assert {*COLUMNS} - {*OF_THE_BUDGET} < {*whole}


def test_days_are_what_the_exporter_has(there: Exporter, tmp_path: Path) -> None:
    """Each that is over, of each organization."""
    done = command("backfill", "--label=job=a", flag(there), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for organization in listed(there)["organizations"]:
        days = listed(there, f"/{organization['org_id']}/days")["days"]
        over = {day["date"]: day["spend_usd"] for day in days[:-1] if day["spend_usd"] is not None}
        lines = [
            line.rpartition("} ")[2].split()
            for line in done.stdout.splitlines()
            if line.startswith(SPEND) and organization["org_id"] in line
        ]
        written = {
            time.strftime("%Y-%m-%d", time.gmtime(int(moment))): float(usd) for usd, moment in lines
        }
        late = set(over) - set(written)  # ended within the last three hours
        assert late <= set(list(over)[-1:])
        assert written == {date: usd for date, usd in over.items() if date not in late}


def test_ids_of_any_kind_are_asked_for(configuration: Path, tmp_path: Path) -> None:
    """Each is one part of the path, to the exporter as to the command."""
    settings = yaml.safe_load(configuration.read_text())
    credentials = settings["organizations"][0]["credentials"]
    settings["organizations"] = [{"id": each, "credentials": credentials} for each in ODD]
    file = tmp_path / "odd.yml"
    file.write_text(json.dumps(settings))
    with exporter(f"--config.file={file}") as it:
        it.wait_until_ready()
        used = within("usage", "--output=json", flag(it))
        done = within("backfill", flag(it), folder=tmp_path)
    assert {each["org_id"] for each in json.loads(used.stdout)["organizations"]} == set(ODD)
    assert used.returncode == 1, "none of them can be polled"
    assert used.stderr.count("GetCurrentMonthUsage: ") == len(ODD)
    assert done.returncode == 0, done.stderr


def test_pages_are_put_together(tmp_path: Path) -> None:
    """An exporter of more organizations than one page has."""
    organization = {"credentials": {"api_key_id": "a", "api_key": "b"}}
    settings = {
        "api": {"address": "127.0.0.1:1", "tls": False},
        "organizations": [{"id": f"o{number}", **organization} for number in range(1203)],
    }
    file = tmp_path / "many.yml"
    file.write_text(json.dumps(settings))
    with exporter(f"--config.file={file}") as it:
        done = within("usage", "--output=csv", flag(it))
    assert len(done.stdout.splitlines()) == 1 + 1203


def test_shards_are_merged(configuration: Path, tmp_path: Path) -> None:
    """Each exporter says which shard it is; without one of them, the others are a part."""
    with ExitStack() as stack:
        shards = [
            stack.enter_context(
                exporter(f"--config.file={configuration}", "--total-shards=2", f"--shard={number}")
            )
            for number in range(2)
        ]
        for it in shards:
            it.wait_until_ready()
        done = within("usage", "--output=json", *map(flag, shards), folder=tmp_path)
        part = within("usage", flag(shards[1]), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["organizations"]) == 3
    assert part.returncode == 1
    assert "viam-billing: shard 0 of 2, counted from 0: no exporter that has it" in part.stderr


def test_with_tls_a_password_and_a_certificate(configuration: Path, tmp_path: Path) -> None:
    """As the exporter's web configuration asks for them; without one of them it is a failure."""
    authority = Authority(tmp_path)
    authority.issue("server", "DNS:localhost")
    authority.issue("client", "DNS:client")
    hashed = bcrypt.hashpw("pässword".encode(), bcrypt.gensalt(4))
    web = {
        "tls_server_config": {
            "cert_file": "server.crt",
            "key_file": "server.key",
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": "ca.crt",
        },
        "basic_auth_users": {"jürgen": hashed.decode()},
    }
    (tmp_path / "web.yml").write_text(yaml.safe_dump(web))
    (tmp_path / "password").write_text("pässword\n")
    arguments = {
        "user": "--exporter.user=jürgen",
        "password": f"--exporter.password-file={tmp_path / 'password'}",
        "authority": f"--exporter.ca-file={authority.crt}",
        "certificate": f"--exporter.cert-file={tmp_path / 'client.crt'}",
        "key": f"--exporter.key-file={tmp_path / 'client.key'}",
    }
    with exporter(
        f"--config.file={configuration}", f"--web.config.file={tmp_path / 'web.yml'}"
    ) as it:
        url = f"--exporter=https://localhost:{it.port}"

        def ask(*without: str) -> Any:
            given = [text for name, text in arguments.items() if name not in without]
            return within("usage", "--output=json", url, *given)

        until(lambda: len(json.loads(ask().stdout)["organizations"]) == 3, "it serves")
        assert "its certificate is not trusted" in ask("authority").stderr
        assert "it requires another user or password" in ask("user", "password").stderr
        refused = ask("certificate", "key")
    assert refused.returncode == 1
    assert "it cannot be reached: " in refused.stderr
