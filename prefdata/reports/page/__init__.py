"""Pages: self-contained HTML files, with figures, tables and a reader of rows, which open without a
network. What models and people wrote is data in them: none of it can run."""
