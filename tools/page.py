"""The page of a notebook: one HTML file that needs nothing beside it, not even a network."""

from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# nbconvert's page asks the web for three scripts before it shows anything; none of them is needed here. Its
# columns are made for a wide window: on a telephone what is wide is moved within its box instead of cut off.
PAGE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_css -%}
{{ super() }}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  main { max-width: 60rem; margin: auto; }
  .jp-InputPrompt, .jp-OutputPrompt { display: none; }
  .highlight pre, .jp-RenderedText pre { overflow-x: auto; }
  .jp-RenderedText pre { white-space: pre; }
  .jp-RenderedHTMLCommon table { display: block; overflow-x: auto; max-width: 100%; }
  .jp-RenderedHTMLCommon img, .jp-RenderedImage img { max-width: 100%; height: auto; }
  .formula { display: block; overflow-x: auto; overflow-y: hidden; padding: 0.3em 0; }
  @media (max-width: 600px) {
    body.jp-Notebook { padding: 4px; }
    .jp-Cell { padding: 2px; }
    .jp-InputArea-editor, .jp-OutputArea-output, .jp-MarkdownOutput { min-width: 0; max-width: 100%; }
  }
</style>
{%- endblock -%}
"""


class Renderer(IPythonRenderer):
    """nbconvert's markdown, with formulas as MathML, which every browser shows by itself."""

    def block_math(self, body):
        return f'<span class="formula">{convert(body.strip(), display="block")}</span>'

    def inline_math(self, body):
        return convert(body.strip())

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class PageExporter(HTMLExporter):
    """A notebook as HTML without scripts from elsewhere."""

    def __init__(self, **options):
        super().__init__(raw_template=PAGE, **options)

    def default_filters(self):
        yield from super().default_filters()
        yield "markdown2html", self.markdown2html

    def markdown2html(self, source):
        """Folded answers stay whole: pictures are embedded elsewhere, for that closes each block of HTML."""
        return MarkdownWithMath(renderer=Renderer(escape=False, embed_images=False)).render(source)


def page(nb, path):
    """The HTML page of an executed notebook that lies at path."""
    where = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    return PageExporter().from_notebook_node(nb, where)[0]
