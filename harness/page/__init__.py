"""The report: one HTML page that opens without a network, for one job or for several."""
