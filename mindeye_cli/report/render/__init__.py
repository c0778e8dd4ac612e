"""The same blocks as HTML, Markdown and LaTeX."""
