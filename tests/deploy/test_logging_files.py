"""monitoring/logging as far as it can be looked at without the programs that read it."""

from __future__ import annotations

import json
import subprocess

import yaml

from tests.deploy.docker_cli import ROOT

FOLDER = ROOT / "monitoring" / "logging"
BASE = ROOT / "docker-compose.base.yml"


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_what_is_kept_is_small() -> None:
    phases = json.loads(read("lifecycle.json"))["policy"]["phases"]
    assert phases["hot"]["actions"]["rollover"]["max_primary_shard_size"] == "500mb"
    assert phases["delete"]["min_age"] == "7d"


def test_the_names_agree() -> None:
    template = json.loads(read("template.json"))
    [pattern] = template["index_patterns"]
    lifecycle = template["template"]["settings"]["index.lifecycle.name"]
    assert f'index => "{pattern}"' in read("logstash.conf")
    assert f"put _ilm/policy/{lifecycle} lifecycle.json" in read("start-logstash")
    beats = yaml.safe_load(read("filebeat.yml"))["output.logstash"]["hosts"]
    assert beats == ["logstash:5044"]
    assert "port => 5044" in read("logstash.conf")


def test_whose_line_it_is_stands_in_each_line() -> None:
    options = yaml.safe_load(BASE.read_text(encoding="utf-8"))["x-logging"]["options"]
    assert f"[docker][attrs][{options['labels']}]" in read("logstash.conf")
    services = yaml.safe_load(BASE.read_text(encoding="utf-8"))["services"]
    assert [name for name, one in services.items() if "logging" not in one] == []


def test_every_bracket_of_the_pipeline_is_closed() -> None:
    text = read("logstash.conf")
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_the_script_is_one() -> None:
    subprocess.run(["sh", "-n", FOLDER / "start-logstash"], check=True, timeout=10)
