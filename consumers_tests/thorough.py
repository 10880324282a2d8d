"""What `make test` leaves to `make test TESTS=all`, which CI runs as well.

`make test` has to end within three minutes on two processors. It runs each test that
there is in at least one form, but for what is named here: second loops, second servers
and controls of what takes seconds. `anyio_backend` leaves out uvloop as well: where it
differs from asyncio's own loop is on real servers, and their tests name the loops.
"""

import os
import re
from typing import Final

import pytest

__all__ = ["LEFT_OUT", "are_all_wanted", "is_left_out"]

LEFT_OUT: Final = (
    # Benchmarks: that each of them can be run; one workload of each kind stays.
    r"benchmarks/test_benchmarks\.py::test_each_peer_broadcasts_t.*\[(?!consumers\])",
    r"benchmarks/test_benchmarks\.py::test_each_kind_of_groups_runs",
    r"benchmarks/test_benchmarks\.py::test_each_workload_runs\[(typed1?|request1)\]",
    r"benchmarks/test_benchmarks\.py::test_each_workload_runs\[(echo1|json)\]",
    r"benchmarks/test_benchmarks\.py::test_each_workload_runs\[(broadcast|large)\]",
    r"benchmarks/test_benchmarks\.py::test_each_peer_broadcasts\[(?!consumers \(own s)",
    r"benchmarks/test_benchmarks\.py::test_each_server_serves\[(?!consumers-trio)",
    r"benchmarks/test_benchmarks\.py::test_each_peer_answers_what_has_a_type",
    # Faults: the other loop, and controls, which are long because they wait.
    r"faults/test_broker\.py::test_nobody_misses_.*\[(trio|uvloop-(stalled|wiped))",
    r"faults/test_broker\.py::test_without_the_guard_it_fails",
    r"faults/test_churn\.py::test_nothing_stays_behind\[(trio|uvloop-redis)",
    r"faults/test_churn\.py::test_each_kind_of_group_is_measured",
    r"faults/test_churn\.py::test_without_the_guard_it_fails",
    r"faults/test_slow\.py::test_it_costs_its_outbox_and_goes_in_time\[trio",
    r"faults/test_slow\.py::test_without_the_guard_it_fails",
    r"faults/test_server\.py::test_its_clients_return_and_miss_nothing",
    r"faults/test_server\.py::test_without_the_guard_it_fails",
    r"faults/test_restarts\.py::test_(what_.*\[trio|without_)",
    r"faults/test_chat\.py::test_(without_|links_may_break)",
    r"faults/test_soak\.py::test_(nothing_is_|without_|what_is_forgotten)",
    # Every tick is visited by a scope, and by one cancel; here by two.
    r"test_cancellation\.py::test_cancelled_natively_twice",
    r"test_cancellation\.py::test_cancelled_natively_once.*(\[hooks|'use_uvloop')",
    # In process, without an exit, it is in server/test_on_trio.py.
    r"server/test_run\.py::test_what_does_not_end",
    # Attacks: one loop, and three of them, each on a server of its own.
    r"attacks/test_attacks\.py::.*(asyncio|trio)\]",
    r"attacks/test_attacks\.py::test_a_bystander_is_served\[(?!decom|frag|storm)",
    r"attacks/test_attacks\.py::test_without_the_guard_it_fails",
    # Browsers: one mode of several, one loop of two.
    r"schema/test_page_browser\.py::.*\[(Plain|with MessagePack)",
    r"schema/test_page_browser\.py::test_(it_fits_a_phone|frames_are_|it_is_used_by)",
    r"schema/test_page_browser\.py::test_(a_short_stream|the_form_knows|every_schema)",
    r"schema/test_page_browser\.py::test_(text_is_sent|wrong_param|an_error_is|a_ref)",
    r"examples/test_chat_browser\.py::test_a_restart_is_seen_and_recovered_from",
    r"examples/test_browser\.py::test_a_board_comes_back",
    r"examples/test_model_browser\.py::test_(an_answer_grows|what_was_written_mean)",
    r"examples/test_chat_browser\.py::test_waits_grow_up_to_half_a_minute",
    # Thirteen seconds beside other tests, most of them npm's package.
    r"schema/test_asyncapi\.py::test_the_official_parser_takes_the_documents",
    # With clients that are no browsers it is shown by integration/test_stolen.py.
    r"integration/test_stolen_browser\.py",
    # What becomes of what a browser sends is shown by test_origins_connections.py.
    r"handshake/test_origins_browser\.py",
    r"examples/test_chat_valkey\.py::test_two_workers_are_one_chat\[trio",
    r"examples/test_chat_valkey\.py::test_(a_killed_|lost_data_is_told)",
    r"examples/test_dashboard\.py::test_one_process_measures_for_all",
    # A server that is reloaded, which takes seconds to start and to end.
    r"handshake/test_origins_connections\.py::test_a_front_end_in_development",
    # Conformance: the other loop, all of the suites, and what starts processes.
    r"conformance/test_.*\[asyncio",
    r"conformance/test_autobahn\.py::test_(all_that|compressed|a_failure)",
    r"conformance/test_applications\.py::test_channels",
    r"conformance/test_idle\.py",
    r"conformance/test_http_slow\.py::test_(a_body|an_ans|slow_|who_reads).*\[uvl",
    # Servers: the older implementations, ours on the other loop, and the attacks that
    # are drawn by lot.
    r"integration/.*\[(legacy|wsproto|sansio|ours(?!-uvloop))",
    r"integration/test_draining\.py::.*(\[(own-uvloop|1|workers-trio)\]|in time\])",
    r"integration/test_secrets\.py::test_no_credential_is_in_.*\[asyncio",
    r"integration/test_held_socket\.py::test_who_.*\[trio",
    r"integration/test_first_process\.py::test_it_drains\[(uvloop|workers)",
    r"integration/test_hostile\.py::test_a_payload_.*\[trio-(?!json)",
    r"server/test_serve_hostile\.py::test_bystanders_are_served\[.*random",
    r"server/test_processes\.py::test_a_change_is_loaded\[trio",
    r"server/test_processes\.py::test_a_dead_worker_is_replaced\[asyncio",
    r"server/test_processes\.py::test_a_worker_(ends_when_its|that_can_not)",
    r"test_client\.py::test_tokens\[(asyncio-own|trio-trio)",
    r"test_client\.py::test_(nothing_is_lost|without_)\w+\[(asyncio-trio|trio-own)",
    r"runtime/test_life\.py::test_no_garbage_after_.*\[/(typed|view|provided)",
    r"layers/test_redis_servers\.py::test_(the_password|tls_is).*\[trio",
    r"layers/test_redis_cluster\.py::test_servers_are_lost_and_found_one_by_one",
    r"layers/test_redis_subscriptions\.py::test_ten_thousand_cycles",
    r"layers/test_redis_overview\.py::test_a_cluster_is_looked_at.*\[(uvloop|asyncio)",
    r"client/test_javascript\.py::test_(against_a_real_server\[trio|what_npm_packs)",
    r"protocol/test_foreign_client\.py::test_it_(ends|is_dropped|leaves|stays).*\[trio",
    r"layers/test_model\.py::test_the_redis_layer.*\[trio-Presence",
    r"test_cli_connect\.py::test_(closing_with_a_code\[--plain|a_pipe_gets.*\[trio)",
    r"test_cli_watch\.py::test_it_survives_its_broker\[trio",
    r"test_must_run\.py::test_ci_refuses_a_skipped_test\[alone",
    r"examples/test_store\.py::test_(a_program_that_listens|every_kind_of_program)",
    r"examples/test_model\.py::test_two_processes_are_one_model",
    r"examples/test_migration\.py::test_several_workers\[before",
    r"examples/test_migration_channels\.py::.*before_channels",
)
"""Patterns of names as pytest gives them: "folder/test_file.py::test_name[case]"."""
_LONG: Final = re.compile("|".join(LEFT_OUT))


def are_all_wanted() -> bool:
    """Tell whether what takes long is asked for too."""
    return os.environ.get("TESTS") == "all"


def is_left_out(item: pytest.Item) -> bool:
    """Tell whether a test runs only where all are asked for."""
    if are_all_wanted():
        return False
    name = item.nodeid.partition("consumers_tests/")[2]
    return _LONG.match(name) is not None
