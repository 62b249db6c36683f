"""The escalation policy over HTTP."""

from tests.support.service import Api

RULE = {"matchers": ['severity="critical"'], "after": "15m", "channels": ["second"]}


async def test_the_policy_is_one_document_with_a_tag(api: Api) -> None:
    await api.post("/channels", {"name": "second", "plugin_name": "console"})
    empty = await api.get("/escalation")

    stored = await api.put("/escalation", {"rules": [RULE]}, headers={"If-Match": empty.headers["ETag"]})
    stale = await api.put("/escalation", {"rules": []}, headers={"If-Match": empty.headers["ETag"]})
    read = await api.get("/escalation")

    assert (empty.data["rules"], empty.data["updated_by"]) == ([], None)
    assert (stored.status, stale.status) == (200, 412)
    assert (read.data["rules"], read.data["updated_by"]) == ([RULE], "admin")
    assert (await api.get("/escalation", headers={"If-None-Match": read.headers["ETag"]})).status == 304


async def test_a_mistake_has_its_place(api: Api) -> None:
    for change, place in (
        ({"channels": ["nobody"]}, ["rules", 0, "channels", 0]),
        ({"channels": []}, ["rules", 0, "channels"]),
        ({"matchers": ["x"]}, ["rules", 0, "matchers"]),
        ({"matchers": []}, ["rules", 0, "matchers"]),
        ({"after": "10s"}, ["rules", 0, "after"]),
    ):
        answer = await api.put("/escalation", {"rules": [{**RULE, **change}]})
        assert (answer.status, answer.error["details"][0]["loc"]) == (400, place), (change, answer.body)
