"""`alertagent alerts list` as a process of its own, against a running service."""

import json

from alertagent.app import Service
from tests.support.serve import Ended, run
from tests.support.service import ADMIN_TOKEN, Api


async def list_(service: Service, *arguments: str) -> Ended:
    environment = {"ALERTAGENT_SERVER": service.address, "ALERTAGENT_TOKEN": ADMIN_TOKEN}
    return await run("alerts", "list", *arguments, environment=environment)


async def test_alerts_are_listed_and_chosen(service: Service, api: Api) -> None:
    posted = [
        {
            "labels": {"alertname": "HostDown", "severity": "critical", "instance": "a"},
            "startsAt": "2026-01-02T03:04:05Z",
        },
        {"labels": {"alertname": "DiskFull"}},
    ]
    assert (await api.post("//api/v2/alerts", posted)).status == 200

    everything = (await list_(service)).stdout.splitlines()
    (id,) = (alert["id"] for alert in (await api.get('/alerts?filter=alertname="HostDown"')).data)
    chosen = (await list_(service, "--filter", 'instance="a"')).stdout.splitlines()
    searched = json.loads((await list_(service, "--q", "disk", "-o", "json")).stdout)
    none = await list_(service, "--filter", 'status="resolved"')

    assert everything[0].split("\t") == ["ID", "STATUS", "SEVERITY", "NAME", "SINCE", "LABELS"]
    assert len(everything) == 3
    labels = "instance=a,severity=critical"
    assert chosen[1:] == [f"{id}\tfiring\tcritical\tHostDown\t2026-01-02T03:04:05\t{labels}"]
    assert [alert["labels"]["alertname"] for alert in searched] == ["DiskFull"]
    assert (none.status, none.stdout, none.stderr) == (0, "", "there are no such alerts\n")
