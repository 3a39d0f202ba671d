"""The page about proxies: text, and the files of docs/proxies, which tests/gateway/test_proxies.py runs."""

from __future__ import annotations

from pathlib import Path

_FILES = Path(__file__).parents[2] / "docs" / "proxies"
_TEXT = """\
# A proxy in front of the box

`make docs` generates this page; the configurations are the files in [proxies/](proxies).

The box needs no proxy: it has TLS, keys and limits of its own ([access.md](access.md)). A proxy is useful if the site
already has one that serves all names and certificates. This page has configurations for nginx, Caddy and Envoy. The
tests run each of them in front of a gateway (`tests/gateway/test_proxies.py`): streams arrive piece by piece,
comments pass, a long wait is not cut, a client that leaves frees its slot, gRPC passes, and the request id stays.

## What the box needs

```toml
[serve]
hosts = ["llm.example.com"]       # if the proxy speaks plain HTTP to the box and passes the name of the client on
proxies = ["127.0.0.1"]           # the addresses of the proxy: the log has the addresses of its clients
```

Without `hosts`, the box answers 421 to a public name over plain HTTP ([why](decisions/known-hosts.md)). Without
`proxies`, the log has the address of the proxy in each line; an `X-Forwarded-For` from any other address is ignored.
The box never reads `Forwarded`, `X-Forwarded-Host` or `X-Forwarded-Proto`, and never redirects, so it needs no other
header.

The configurations expect the proxy on the same machine as the box, which listens on loopback: then no other machine
can avoid the proxy. If the proxy is on another machine, give the box a certificate (`appliance tls init`) and let the
proxy use `https://` and `grpcs://`, with the site's CA.

**Keys.** A proxy makes the box reachable from the network even if the box listens on loopback. So with `hosts` or
`proxies`, the box starts only if it requires keys (`appliance key create NAME`) or client certificates. Without these
settings, the box cannot notice a proxy that sends a private `Host`: then create a key yourself. Client certificates
end at the proxy: the box identifies clients behind a proxy only by their keys.

## Waiting times

A streamed response sends its status after at most 3 s, and then a comment (Anthropic's API: a `ping` event) after
each 4 s without other bytes (`[serve] stream_ping_s`). So the usual limit of 60 s without a byte does not cut a
stream, however long the prompt is.

A response that is not streamed is sent as a whole, and HTTP gives the box no way to show that it waits. It takes as
long as the queue, the prompt and all tokens together. Set the limit of the proxy above the longest such response, as
the files below do with an hour (the longest time that the box gives a request), or let clients stream. The limits of
clients count too: Node's `fetch` ends after 300 s without a response.

| proxy | setting that cuts | default |
|---|---|---|
| nginx | `proxy_read_timeout`, `grpc_read_timeout` | 60 s without a byte |
| nginx | `proxy_buffering` | on; the box switches it off for streams (`X-Accel-Buffering: no`) |
| Caddy | none | waits, and sends event streams at once |
| Envoy | `timeout` of a route | 15 s for the whole response, also for streams |
| Envoy | `idle_timeout` of a route | 300 s without a byte |

The gRPC API sends HTTP/2 pings as often as comments, and accepts a ping of a client or proxy each second.
"""
_SECTIONS = (
    (
        "nginx",
        "nginx.conf",
        "nginx",
        "Tested with nginx 1.22. From nginx 1.25.1 on, write `listen 443 ssl;` and `http2 on;`.",
    ),
    ("Caddy", "Caddyfile", "", "Tested with Caddy 2.11."),
    ("Envoy", "envoy.yaml", "yaml", "Tested with Envoy 1.40."),
)


def page() -> str:
    """The page in Markdown."""
    parts = [_TEXT]
    for name, file, language, remark in _SECTIONS:
        content = (_FILES / file).read_text(encoding="utf-8")
        parts.append(f"## {name}\n\n{remark} File: [proxies/{file}](proxies/{file}).\n\n```{language}\n{content}```\n")
    return "\n".join(parts)
