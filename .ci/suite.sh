# Sourced: starts and stops a suite of its own for scripts. PESAN names the binary.
# shellcheck shell=bash

# shellcheck disable=SC2120 # its arguments are optional
# start_suite [ARGS]: `pesan up` with these arguments on a temporary data folder, until it answers.
start_suite() {
    suite_dir=$(mktemp -d)
    trap abandon_suite EXIT
    "$PESAN" up --data "$suite_dir/data" "$@" >"$suite_dir/log" 2>&1 &
    suite_pid=$!
    local deadline=$((SECONDS + 180))
    until "$PESAN" verify >"$suite_dir/verify" 2>&1; do
        if ! kill -0 "$suite_pid" 2>/dev/null || ((SECONDS > deadline)); then
            echo "the suite did not come up:" >&2
            tail -n 50 "$suite_dir/log" "$suite_dir/verify" >&2
            return 1
        fi
        sleep 0.5
    done
}

# stop_suite: asks it to stop; it must go in time, by itself, with code 0, and take its Postgres along.
stop_suite() {
    local status=0
    kill -TERM "$suite_pid"
    timeout 60 tail --pid="$suite_pid" -f /dev/null || true
    if kill -0 "$suite_pid" 2>/dev/null; then
        echo "the suite did not stop within a minute" >&2
        return 1
    fi
    wait "$suite_pid" || status=$?
    if [[ $status -ne 0 ]]; then
        echo "the suite ended with code $status:" >&2
        tail -n 50 "$suite_dir/log" >&2
        return 1
    fi
    if [[ -n $(find "$suite_dir/data" -name postmaster.pid) ]]; then
        echo "the suite left its Postgres running" >&2
        return 1
    fi
    trap - EXIT
    rm -rf "$suite_dir"
}

# Whatever went wrong, leave nothing running.
abandon_suite() {
    if kill -TERM "$suite_pid" 2>/dev/null; then
        timeout 60 tail --pid="$suite_pid" -f /dev/null || kill -KILL "$suite_pid" 2>/dev/null || true
    fi
    rm -rf "$suite_dir"
}
