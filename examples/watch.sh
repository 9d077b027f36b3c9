#!/bin/sh
# Say where links come up and which are about to break: `sh examples/watch.sh` beside a running daemon; needs jq.
# Arguments go to `lies trace`, such as --link wlan0 or -n 10.
lies trace -j link_up link_going_down "$@" | jq --unbuffered --raw-output '
    if .type == "link_up" then "\(.link) is up at \(.poa)"
    elif .type == "link_going_down" then "\(.link) leaves \(.poa) in \(.time_to_down_ms | round) ms"
    else empty end'
