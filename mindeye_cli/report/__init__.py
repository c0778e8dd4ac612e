"""One self-contained HTML page from the files that other commands leave."""
