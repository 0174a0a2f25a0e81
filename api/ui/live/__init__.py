"""The live parts of pages: made once for everybody who looks at the same, and sent over one stream a browser."""
