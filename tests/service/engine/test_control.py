"""Model control by polling: what serves while the repository changes under it."""

import shutil
from typing import Any

from tests.support.app import Client, refused, serving
from tests.support.colours import publish_colours
from tests.support.control import POLL, classified, control, index, states, until
from tests.support.images import plain


async def test_without_control_changes_are_not_noticed_and_nothing_is_taken_away(root):
    folder = publish_colours(root)

    async with serving(root) as (client, _):
        publish_colours(root)
        shutil.rmtree(folder)
        assert await classified(client) == 1
        for verb in ("load", "unload"):
            assert "'none'" in (await control(client, verb)).json()["error"]
        assert await classified(client) == 1


async def test_polling_moves_to_a_new_version_and_lets_go_of_the_old(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, _):
        assert await classified(client) == 1
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        assert await classified(client) == 2
        response = await client.post("/v1/models/colours/versions/1/classify", content=plain())
        assert response.status_code == 404
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'harmonic_model_changes_total{change="loaded",model="colours"} 2.0' in lines
        assert 'harmonic_model_changes_total{change="retired",model="colours"} 1.0' in lines


async def test_a_bad_new_version_leaves_the_old_one_serving_and_says_why(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, _):
        publish_colours(root, golden_shift=1.0)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "UNAVAILABLE"})
        assert "golden" in (await index(client))["colours", "2"][1]
        assert await classified(client) == 1
        publish_colours(root)
        await until(client, lambda found: states(found) == {"3": "READY"})
        assert await classified(client) == 3


async def test_models_come_and_go(root):
    publish_colours(root, "one")

    async with serving(root, **POLL) as (client, _):
        publish_colours(root, "two")
        await until(client, lambda found: ("two", "1") in found)
        assert await classified(client, "two") == 1
        shutil.rmtree(root / "one")
        await until(client, lambda found: ("one", "1") not in found)
        gone = await client.post("/v1/models/one/classify", content=plain())
        refused(gone, 404, "model_not_found")
        assert await classified(client, "two") == 1


async def test_a_version_that_is_still_being_copied_is_not_touched(root):
    publish_colours(root)
    whole = publish_colours(root)
    shutil.move(whole, root.parent / "whole")

    async with serving(root, **POLL) as (client, _):
        half = root / "colours" / "2"
        half.mkdir()
        shutil.copy(root.parent / "whole" / "model.onnx", half)
        publish_colours(root, "marker")
        await until(client, lambda found: ("marker", "1") in found)  # a look later, the half is not noticed
        assert ("colours", "2") not in await index(client)
        shutil.copy(root.parent / "whole" / "golden.npz", half)
        shutil.copy(root.parent / "whole" / "manifest.json", half)
        await until(client, lambda found: found.get(("colours", "2")) == ("READY", ""))
        assert await classified(client) == 2


async def test_a_folder_that_changes_for_the_worse_while_it_serves_is_told_and_serves_on(root):
    folder = publish_colours(root)
    sound = (folder / "model.onnx").read_bytes()

    async with serving(root, **POLL) as (client, _):
        (folder / "model.onnx").write_bytes(sound + b"x")
        await until(client, lambda found: "SHA-256" in found["colours", "1"][1])
        assert states(await index(client)) == {"1": "READY"}
        assert "SHA-256" in (await client.get("/v1/models")).json()["models"][0]["versions"][0]["remark"]
        assert await classified(client) == 1
        (folder / "model.onnx").write_bytes(sound)
        await until(client, lambda found: found == {("colours", "1"): ("READY", "")})
        assert await classified(client) == 1


async def test_the_last_sound_version_serves_on_if_its_folder_goes_and_only_a_bad_one_is_left(root):
    folder = publish_colours(root)

    async with serving(root, **POLL) as (client, _):
        publish_colours(root, golden_shift=1.0)
        shutil.rmtree(folder)
        await until(client, lambda found: "gone" in found.get(("colours", "1"), ("", ""))[1])
        assert await classified(client) == 1


async def test_a_repository_that_goes_away_takes_nothing_with_it(root):
    publish_colours(root)

    async with serving(root, **POLL) as (client, _):
        root.rename(root.parent / "away")
        publish_colours(root.parent / "away")
        assert await classified(client) == 1
        (root.parent / "away").rename(root)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "READY"})
        assert await classified(client) == 2


async def test_a_models_own_file_is_followed_and_a_wrong_one_changes_nothing(root):
    publish_colours(root)
    (root / "colours" / "config.toml").write_text("max_size = 3\ninstances = 2\npriority_levels = 2")

    async def described(client: Client) -> dict[str, Any]:
        found: dict[str, Any] = (await client.get("/v1/models")).json()["models"][0]["versions"][0]
        return found

    async with serving(root, **POLL) as (client, _):
        version = await described(client)
        assert (version["instances"], version["policy"]["max_size"]) == (2, 3)
        (root / "colours" / "config.toml").write_text("max_size = 'many'")
        await until(client, lambda found: "config.toml" in found["colours", "1"][1])
        assert (await described(client))["policy"]["max_size"] == 3
        assert await classified(client) == 1
        (root.parent / "right.toml").write_text("max_size = 5")
        (root.parent / "right.toml").rename(root / "colours" / "config.toml")  # a look must not find it half written
        await until(client, lambda found: found["colours", "1"] == ("READY", ""))
        assert (await described(client))["policy"]["max_size"] == 5


async def test_a_half_copied_version_that_was_tried_is_tried_again_when_it_is_whole(root):
    publish_colours(root)
    whole = publish_colours(root)
    graph = (whole / "model.onnx").read_bytes()
    (whole / "model.onnx").write_bytes(graph[:100])

    async with serving(root, **POLL) as (client, _):
        await until(client, lambda found: states(found) == {"1": "READY", "2": "UNAVAILABLE"})
        assert await classified(client) == 1
        (whole / "model.onnx").write_bytes(graph)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "READY"})
        assert await classified(client) == 2
