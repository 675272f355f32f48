"""Every chart, defined once in Vega-Lite: for the page that a browser draws, and for PNG and SVG files."""
