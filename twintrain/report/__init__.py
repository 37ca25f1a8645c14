"""What a comparison found: as numbers (comparison.json) and as a page (report.html)."""
