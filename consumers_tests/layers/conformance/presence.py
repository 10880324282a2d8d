"""Who is present: everybody once, and nobody whose process is gone."""

from .tools import LONG, PAST, SHORT, MakeLayer, PassTime, entry, started, two

BLUE, RED = b"\xa4blue", b"\xa3red"


async def test_who_enters_is_present(make_layer: MakeLayer) -> None:
    """Who enters has joined and is listed, in the order of entering, and counted."""
    async with started(make_layer) as (layer, _):
        entries = [entry("c2"), entry("c1", metadata=RED), entry("c3", "ada \xff:1")]
        changes = await layer.enter("a", entries[:2], LONG)
        assert (changes.joined, changes.updated) == (tuple(entries[:2]), ())
        assert (await layer.enter("a", entries[2:], LONG)).joined == (entries[2],)

        assert await layer.present("a") == entries
        counted = await layer.count("a")
        assert (counted.connections, counted.users) == (3, 3)


async def test_nobody_is_present_where_nobody_entered(make_layer: MakeLayer) -> None:
    """A group without anybody is empty, and leaving it is safe."""
    async with started(make_layer) as (layer, _):
        await layer.enter("b", [entry("c1")], LONG)
        await layer.exit("a", ["c1"], 0.0)

        assert await layer.present("a") == []
        counted = await layer.count("a")
        assert (counted.connections, counted.users) == (0, 0)
        assert await layer.present("b") == [entry("c1")]


async def test_a_user_joins_once(make_layer: MakeLayer) -> None:
    """Several connections of a user are one user, at one process or at two."""
    async with two(make_layer) as (here, there):
        first = await here.enter("a", [entry("c1", "ada"), entry("c2", "ada")], LONG)
        assert [each.connection for each in first.joined] == ["c1"]
        for layer in (here, there):
            changes = await layer.enter("a", [entry(f"c{id(layer)}", "ada")], LONG)
            assert changes.joined == ()

        counted = await here.count("a")
        assert (counted.connections, counted.users) == (4, 1)


async def test_a_users_other_metadata_is_an_update(make_layer: MakeLayer) -> None:
    """A further connection that tells something else updates its user."""
    async with two(make_layer) as (here, there):
        await here.enter("a", [entry("c1", "ada", BLUE)], LONG)
        changes = await there.enter("a", [entry("c2", "ada", RED)], LONG)

        assert changes.joined == ()
        assert changes.updated == (entry("c2", "ada", RED),)


async def test_an_entry_is_replaced_in_its_place(make_layer: MakeLayer) -> None:
    """Entering again updates the metadata, where they are others, and nothing else."""
    async with started(make_layer) as (layer, _):
        await layer.enter("a", [entry("c1", metadata=BLUE), entry("c2")], LONG)
        same = await layer.enter("a", [entry("c1", metadata=BLUE)], LONG)
        assert (same.joined, same.updated) == ((), ())
        other = await layer.enter("a", [entry("c1", metadata=RED)], LONG)
        assert (other.joined, other.updated) == ((), (entry("c1", metadata=RED),))

        assert await layer.present("a") == [entry("c1", metadata=RED), entry("c2")]


async def test_processes_share_presence(make_layer: MakeLayer) -> None:
    """Each sees who entered at the other, in the order of entering."""
    async with two(make_layer) as (here, there):
        await here.enter("a", [entry("c1")], LONG)
        await there.enter("a", [entry("c2")], LONG)
        await here.enter("a", [entry("c3")], LONG)

        for layer in (here, there):
            present = [each.connection for each in await layer.present("a")]
            assert present == ["c1", "c2", "c3"]


# Leaving


async def test_a_user_leaves_with_the_last_connection(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """With one of two nobody has left; with the last one the user is gone and told."""
    async with two(make_layer) as (here, there):
        await here.enter("a", [entry("c1", "ada"), entry("c2", "eve")], LONG)
        await there.enter("a", [entry("c3", "ada")], LONG)

        await here.exit("a", ["c1"], 0.0)
        await pass_time(PAST)
        assert (await here.renew({"a": LONG}))["a"].left == ()
        await there.exit("a", ["c3"], 0.0)
        await pass_time(PAST)
        assert [each.user for each in await here.present("a")] == ["eve"]
        renewal = (await here.renew({"a": LONG}))["a"]
        assert (renewal.held, renewal.left) == (True, ("ada",))


async def test_who_lingers_is_gone_at_once_and_told_later(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Presence and count have who left no longer; that is told after the linger."""
    async with started(make_layer) as (layer, _):
        await layer.enter("a", [entry("c1"), entry("c2"), entry("c3")], LONG)
        await layer.exit("a", ["c1"], LONG)
        await layer.exit("a", ["c2"], SHORT)

        assert await layer.present("a") == [entry("c3")]
        assert (await layer.count("a")).users == 1
        await pass_time(PAST)
        assert (await layer.renew({"a": LONG}))["a"].left == ("c2",)


async def test_who_returns_in_time_is_not_told(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Back within the linger, at whichever process, nobody left and nobody joined.

    It is an update: who asked meanwhile does not know the user.
    """
    async with two(make_layer) as (here, there):
        await here.enter("a", [entry("c1", "ada"), entry("c2")], LONG)
        await here.exit("a", ["c1"], LONG)
        changes = await there.enter("a", [entry("c3", "ada")], LONG)
        assert (changes.joined, changes.updated) == ((), (entry("c3", "ada"),))
        await there.exit("a", ["c3"], LONG)
        changes = await here.enter("a", [entry("c4", "ada")], LONG)
        assert (changes.joined, changes.updated) == ((), (entry("c4", "ada"),))

        await pass_time(PAST)
        for layer in (here, there):
            assert (await layer.renew({"a": LONG}))["a"].left == ()


async def test_who_returns_after_being_told_has_joined(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """After the linger a return is a new arrival, at the end of the order."""
    async with started(make_layer) as (layer, _):
        await layer.enter("a", [entry("c1"), entry("c2")], LONG)
        await layer.exit("a", ["c1"], SHORT)
        await pass_time(PAST)
        assert (await layer.renew({"a": LONG}))["a"].left == ("c1",)

        assert (await layer.enter("a", [entry("c1")], LONG)).joined == (entry("c1"),)
        assert await layer.present("a") == [entry("c2"), entry("c1")]


async def test_a_departure_is_told_once(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Of all processes that renew one is told."""
    async with two(make_layer) as (here, there):
        for layer, name in ((here, "c1"), (there, "c2")):
            await layer.enter("a", [entry(name), entry(f"{name}-gone")], LONG)
            await layer.exit("a", [f"{name}-gone"], SHORT)
        await pass_time(PAST)
        told = [
            user
            for _ in range(2)
            for layer in (here, there)
            for user in (await layer.renew({"a": LONG}))["a"].left
        ]

        assert sorted(told) == ["c1-gone", "c2-gone"]


# Leases


async def test_a_process_that_never_renews_is_gone(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """After its lease nobody sees what it entered; its users are told, if gone."""
    async with two(make_layer) as (here, dead):
        await here.enter("a", [entry("c1"), entry("c2", "both")], LONG)
        await dead.enter("a", [entry("c3"), entry("c4", "both")], SHORT)
        await pass_time(PAST)

        assert [each.connection for each in await here.present("a")] == ["c1", "c2"]
        assert (await here.count("a")).connections == 2
        renewal = (await here.renew({"a": LONG}))["a"]
        assert (renewal.held, renewal.left) == (True, ("c3",))
        assert (await here.renew({"a": LONG}))["a"].left == ()

        assert not (await dead.renew({"a": LONG}))["a"].held
        again = await dead.enter("a", [entry("c3"), entry("c4", "both")], LONG)
        assert again.joined == (entry("c3"),)
        assert (await dead.renew({"a": LONG}))["a"].held


async def test_who_enters_after_the_lease_ran_out_is_told_too(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Entering begins another lease, but those of the one before are gone."""
    async with started(make_layer) as (layer, _):
        await layer.enter("a", [entry("c1")], SHORT)
        await pass_time(PAST)
        await layer.enter("a", [entry("c2")], LONG)

        assert await layer.present("a") == [entry("c2")]
        assert not (await layer.renew({"a": LONG}))["a"].held
        await layer.enter("a", [entry("c1"), entry("c2")], LONG)
        assert (await layer.renew({"a": LONG}))["a"].held
        assert await layer.present("a") == [entry("c2"), entry("c1")]


async def test_a_renewed_lease_goes_on(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """What is renewed in time is present as if nothing had been, in several groups."""
    async with two(make_layer) as (here, there):
        for lease in (2 * SHORT, 1.0, 10.0):
            await here.enter("a", [entry("c1")], lease)
            await here.enter("b", [entry("c1")], lease)
            renewals = await here.renew({"a": LONG, "b": LONG, "c": LONG})
            # A machine that was slower than the lease gets another try.
            if renewals["a"].held and renewals["b"].held:
                break
        assert renewals.keys() == {"a", "b", "c"}
        assert not renewals["c"].held
        await pass_time(lease + SHORT)

        for group in ("a", "b"):
            assert await there.present(group) == [entry("c1")]


async def test_a_renewal_sets_the_lease(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """The seconds of the latest renewal count, also where they are fewer."""
    async with two(make_layer) as (here, there):
        await here.enter("a", [entry("c1")], LONG)
        assert (await here.renew({"a": SHORT}))["a"].held
        await pass_time(PAST)

        assert await there.present("a") == []
