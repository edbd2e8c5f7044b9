#!/usr/bin/env python3
"""Writes grafana-miner.json and grafana-validator.json, for Grafana 10 and newer: make_dashboards.py [FOLDER]. Import them and choose the Prometheus."""
import json
import pathlib
import sys

RATE = "$__rate_interval"


def series(expression, legend=""):
    return {"expr": expression, "legend": legend}


# (title, unit, kind, width of 24, series, what to see in it)
MINER = [
    ("Answers a minute", "short", "timeseries", 12, [series(f'60 * sum(rate(brainlock_miner_requests_total{{route="infer",outcome="ok"}}[{RATE}]))', "answered")],
     "Validators ask in rounds: a comb, not a line."),
    ("Engine's time for an answer", "s", "timeseries", 12,
     [series(f"histogram_quantile(0.5, sum by (le) (rate(brainlock_miner_compute_seconds_bucket[{RATE}])))", "median"),
      series(f"sum(rate(brainlock_miner_compute_seconds_sum[{RATE}])) / sum(rate(brainlock_miner_compute_seconds_count[{RATE}]))", "mean")],
     "The score is (40 s / t)^3: a tenth off the time is a third more."),
    ("Requests by outcome", "reqps", "timeseries", 12, [series(f"sum by (route, outcome) (rate(brainlock_miner_requests_total[{RATE}]))", "{{route}} {{outcome}}")],
     "internal, out_of_resources and timed_out are the miner's own; the others' names say whose they are (docs/protocol.md)."),
    ("Waiting", "s", "timeseries", 6, [series(f"rate(brainlock_miner_queue_wait_seconds_total[{RATE}])", "seconds waited a second")], "More askers than the machine serves."),
    ("Queue", "short", "timeseries", 6, [series("brainlock_miner_queued_requests", "waiting"), series("brainlock_miner_running_requests", "in work")], "Requests now."),
    ("Keys", "short", "timeseries", 8, [series("brainlock_miner_keys", "on disk"), series("brainlock_miner_arriving_keys", "arriving"), series("brainlock_miner_loaded_key_sets", "in memory")],
     "Each validator has a set of its own for each package."),
    ("Memory and disk of keys", "bytes", "timeseries", 8, [series("brainlock_miner_loaded_key_bytes", "memory"), series("brainlock_miner_key_disk_bytes", "disk")], "Bounds: --max-ram, docs/operation.md."),
    ("Devices", "short", "timeseries", 8, [series("brainlock_miner_devices", "{{state}}")], "What computes: the processor, or GPUs."),
    ("Connections", "short", "timeseries", 12, [series("brainlock_http_connections", "open"), series(f"rate(brainlock_http_refused_connections_total[{RATE}])", "refused a second"),
                                                series(f"rate(brainlock_http_timeouts_total[{RATE}])", "too slow a second")], "Refused: over a limit, or to make room."),
    ("Bytes of bodies", "Bps", "timeseries", 12, [series(f"rate(brainlock_http_received_body_bytes_total[{RATE}])", "received"), series(f"rate(brainlock_http_sent_body_bytes_total[{RATE}])", "sent")],
     "Key uploads are 100 MB and more; questions and answers about one."),
    ("Version", "short", "table", 24, [series("brainlock_build_info", "{{version}}")], "Of the running program."),
]
VALIDATOR = [
    ("Scores", "short", "timeseries", 12, [series("brainlock_validator_miner_score", "uid {{uid}}")], "40 s is 1, 20 s is 8; failures above a fifth divide."),
    ("Response time", "s", "timeseries", 12, [series("brainlock_validator_miner_response_seconds > 0", "uid {{uid}}")], "Median of the successes that count."),
    ("Failures", "percentunit", "timeseries", 12, [series("brainlock_validator_miner_failure_ratio", "uid {{uid}}")], "Part of the requests that count."),
    ("Confidence", "percentunit", "timeseries", 12, [series("brainlock_validator_miner_confidence", "uid {{uid}}")], "What a vote multiplies the score by: full from sixteen requests on."),
    ("Weights of the last vote", "short", "bargauge", 12, [series("brainlock_validator_miner_weight_sent", "uid {{uid}}")], "65,535 is the largest."),
    ("Weights on the ledger", "short", "bargauge", 12, [series("brainlock_validator_miner_weight_on_ledger", "uid {{uid}}")], "Read back. A committed vote takes an epoch or more to be here."),
    ("Requests by reason", "short", "timeseries", 12, [series("sum by (reason) (brainlock_validator_requests)", "{{reason}}")], "All that are kept; validator_error is this validator's own."),
    ("Requests that count", "short", "timeseries", 12, [series("brainlock_validator_miner_window_requests", "uid {{uid}}")], "Of the last days, by miner."),
    ("Rounds an hour", "short", "timeseries", 8, [series(f"3600 * rate(brainlock_validator_rounds_total[{RATE}])", "rounds")], "None: see round_failed and no_permit in the log."),
    ("Block", "short", "timeseries", 8, [series("brainlock_ledger_block", "block")], "A flat line is an endpoint that is behind or gone."),
    ("Left out", "short", "timeseries", 8, [series("brainlock_validator_rejected_inputs_total", "inputs, {{why}}"), series("brainlock_validator_excused_total", "failures excused")],
     "Inputs that no honest miner could answer within the bound, and failures that were the validator's own outage."),
]


def panel(number, place, title, unit, kind, width, targets, description):
    instant = kind != "timeseries"
    out = {
        "id": number, "title": title, "type": kind, "description": description, "gridPos": {"h": 8, "w": width, "x": place[0], "y": place[1]},
        "datasource": {"type": "prometheus", "uid": "${source}"}, "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []}, "options": {},
        "targets": [{"refId": chr(ord("A") + i), "expr": t["expr"], "legendFormat": t["legend"], "instant": instant, "range": not instant,
                     "datasource": {"type": "prometheus", "uid": "${source}"}} for i, t in enumerate(targets)],
    }
    if kind == "timeseries":
        out["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if title == "Block":
        del out["fieldConfig"]["defaults"]["min"]
    if title in ("Scores", "Response time", "Engine's time for an answer"):
        del out["fieldConfig"]["defaults"]["min"]
        out["fieldConfig"]["defaults"]["custom"] = {"scaleDistribution": {"type": "log", "log": 10}}
    return out


def dashboard(uid, title, panels):
    out, x, y = [], 0, 0
    for number, (name, unit, kind, width, targets, description) in enumerate(panels, 1):
        if x + width > 24:
            x, y = 0, y + 8
        out.append(panel(number, (x, y), name, unit, kind, width, targets, description))
        x += width
    return {"uid": uid, "title": title, "tags": ["brainlock"], "schemaVersion": 38, "version": 1, "editable": True, "refresh": "1m", "time": {"from": "now-24h", "to": "now"},
            "timezone": "browser", "panels": out,
            "templating": {"list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0, "refresh": 1}]}}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for name, title, panels in (("miner", "Brainlock miner", MINER), ("validator", "Brainlock validator", VALIDATOR)):
        text = json.dumps(dashboard("brainlock-" + name, title, panels), indent=1)
        (folder / f"grafana-{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
