"""python -m benchmarks.plots_page: the page of `dvc plots show`, with Vega inside it.

DVC's own page loads Vega from a content delivery network, and shows no plot where there is none to
reach. ``.dvc/config`` names this one instead. Vega, Vega-Lite and Vega-Embed (BSD 3-Clause) come
from the package vl-convert-python.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.files import replace_file

PAGE = Path(".dvc/plots/page.html")
VEGA_LITE = "5.20"
"""The newest of the fifth version, which the plots are written in."""
MADE_BY = "1.9.0.post1"
"""Version of vl-convert-python that the page was made by."""
HTML = """<!DOCTYPE html>
<!-- Made by python -m benchmarks.plots_page. Vega, Vega-Lite and Vega-Embed are copyright of the
University of Washington Interactive Data Lab and contributors, BSD 3-Clause:
https://github.com/vega -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>DVC plots</title>
<style>
body { font-family: sans-serif; margin: 1rem; color: #222; background: #fff; }
body > div { margin-bottom: 1.5rem; max-width: 100%; overflow-x: auto; }
body > div[style] { border: 0 !important; text-align: left !important;
  white-space: normal !important; }
body > div[style] > div { border: 0 !important; margin: 0 !important; max-width: 100%; }
img { max-width: 100%; height: auto; }
</style>
<script>
SCRIPTS
</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def page() -> str:
    """The page, with places for DVC to put plots into."""
    import vl_convert

    return HTML.replace("SCRIPTS", vl_convert.javascript_bundle(vl_version=VEGA_LITE))


if __name__ == "__main__":
    with replace_file(PAGE) as staging:
        staging.write_text(page(), encoding="utf-8")
