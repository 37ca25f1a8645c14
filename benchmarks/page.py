"""Opens a report in headless Chromium: console errors, network requests, accessibility (axe-core),
size, screenshots.

python benchmarks/page.py runs/default/report/report.html [--shots FOLDER]

Needs `chromium` and `npm` on the PATH (axe-core is fetched from npm into a temporary folder).
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
LIMIT = 3_000_000
WIDTHS = (390, 1280)


def axe_source(folder: Path) -> str:
    """The script of axe-core, from npm."""
    subprocess.run(
        ["npm", "pack", "--silent", "axe-core"], cwd=folder, check=True, capture_output=True
    )
    (packed,) = folder.glob("axe-core-*.tgz")
    subprocess.run(["tar", "-xzf", packed.name], cwd=folder, check=True)
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Path, folder: Path, dark: bool) -> list[dict]:
    """What axe-core finds wrong with the page."""
    run = (
        "axe.run().then(r => "
        "{ document.body.innerHTML = ''; const out = document.createElement('pre'); "
    )
    run += (
        "out.id = 'axe'; out.textContent = JSON.stringify(r.violations); "
        "document.body.append(out); });"
    )
    probe = folder / f"probe-{dark}.html"
    script = f"<script>{axe_source(folder)}</script><script>{run}</script></body>"
    # The page's own policy allows no script, this one neither.
    open_page = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
    probe.write_text(open_page.replace("</body>", script), encoding="utf-8")
    mode = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [*CHROMIUM, *mode, "--virtual-time-budget=60000", "--dump-dom", probe.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)
    if found is None:
        sys.exit("axe-core gave no answer")
    return json.loads(html.unescape(found[1]))


def loads(page: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Requests that left the machine's files, and lines on the console."""
    log = folder / "net.json"
    command = [
        *CHROMIUM,
        f"--log-net-log={log}",
        "--enable-logging=stderr",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    urls = {event.get("params", {}).get("url", "") for event in events}
    # Chromium's own services are not the page's doing; the page's requests name it as initiator.
    page_urls = {
        e["params"]["url"]
        for e in events
        if "file://" in str(e.get("params", {}).get("initiator", ""))
    }
    wanted = sorted(url for url in urls & page_urls if url.startswith(("http:", "https:", "ws:")))
    return wanted, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for screenshots at 390 and 1280 pixels")
    options = parser.parse_args()
    page = options.page.resolve()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        size = page.stat().st_size
        print(f"size {size:,} bytes, limit {LIMIT:,}")
        failed |= size > LIMIT
        requests, console = loads(page, Path(temporary))
        print(f"requests to the network: {requests or 'none'}; console: {console or 'silent'}")
        failed |= bool(requests or console)
        for dark in (False, True):
            sub = Path(temporary) / f"axe-{dark}"
            sub.mkdir()
            found = violations(page, sub, dark)
            print(f"axe-core, {'dark' if dark else 'light'}: {len(found)} violations")
            for one in found:
                print(f"  {one['impact']}: {one['id']}, {one['help']} ({len(one['nodes'])} places)")
                print(f"    {one['nodes'][0]['html'][:160]}")
            failed |= bool(found)
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            target = options.shots / f"{width}.png"
            shot = [
                *CHROMIUM,
                f"--window-size={width},7000",
                f"--screenshot={target}",
                page.as_uri(),
            ]
            subprocess.run(shot, check=True, capture_output=True)
            print(target)
    sys.exit(failed)


if __name__ == "__main__":
    main()
