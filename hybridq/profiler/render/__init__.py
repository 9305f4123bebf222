"""A report, a comparison and a suggestion as text, tables, pictures and pages."""
