"""Tools that create, list, show, cancel, retry and publish videos."""
