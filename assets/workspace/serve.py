#!/usr/bin/python3
"""What a seat shows in a browser: a terminal on port 3001, over a WebSocket, and on port 3002 the files of its home,
to be read, put there, edited and removed. All of it as the user this is started as.

Addresses in the pages are relative: a proxy leads here below a path of its own.
"""

import asyncio
import html
import os
import shutil
from pathlib import Path
from urllib.parse import quote

import terminado
import tornado.web

HOME = Path.home().resolve()
XTERM = "/usr/share/javascript/xterm"
# The most that is taken in one upload, and the most that is shown to be edited.
LARGEST = 256 << 20
EDITED = 1 << 20

TERMINAL = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Terminal</title>
<link rel="stylesheet" href="static/xterm.css">
<style>html, body, #terminal { height: 100%; margin: 0; background: #000 }</style>
<div id="terminal"></div>
<script src="static/xterm.js"></script>
<script src="static/addons/fit/fit.js"></script>
<script src="static/addons/terminado/terminado.js"></script>
<script>
Terminal.applyAddon(fit);
Terminal.applyAddon(terminado);
const address = new URL("ws", location.href.split("?")[0]);
address.protocol = address.protocol.replace("http", "ws");
const terminal = new Terminal();
const socket = new WebSocket(address);
socket.onopen = () => {
  terminal.open(document.getElementById("terminal"));
  terminal.terminadoAttach(socket);
  const fits = () => { terminal.fit(); socket.send(JSON.stringify(["set_size", terminal.rows, terminal.cols, 0, 0])); };
  addEventListener("resize", fits);
  fits();
  terminal.focus();
};
socket.onclose = () => terminal.write("\\r\\n-- the shell has ended; reload the page for another --\\r\\n");
</script>
</html>"""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ font: 16px sans-serif; margin: 1em; max-width: 60em }} td {{ padding: .2em 1em .2em 0 }}
textarea {{ width: 100%; height: 70vh; font: 14px monospace }} form {{ display: inline }}</style>
<h1>{title}</h1>
{body}
</html>"""


class TerminalPage(tornado.web.RequestHandler):
    def get(self):
        self.write(TERMINAL)


class Files(tornado.web.RequestHandler):
    """A folder's list, a file's content, and what is done to them."""

    def place(self, path):
        """The file meant: in the home, wherever links lead."""
        place = (HOME / path).resolve()
        if place != HOME and HOME not in place.parents:
            raise tornado.web.HTTPError(403)
        return place

    def page(self, title, body):
        self.write(PAGE.format(title=html.escape(title), body=body))

    def get(self, path):
        place = self.place(path)
        if place.is_dir():
            if path and not path.endswith("/"):
                return self.redirect(quote(place.name) + "/")
            return self.page("/" + path, self.listing(place, path))
        if not place.is_file():
            raise tornado.web.HTTPError(404)
        if self.get_argument("edit", None) is not None:
            return self.edit(place)
        # Shown as what it is: a page of somebody's must not run beside the others'.
        self.set_header("Content-Type", "text/plain; charset=utf-8" if is_text(place) else "application/octet-stream")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "sandbox")
        with place.open("rb") as file:
            shutil.copyfileobj(file, self)

    def listing(self, place, path):
        rows = ['<tr><td><a href="../">..</a></td></tr>'] if path else []
        for entry in sorted(place.iterdir(), key=lambda entry: (not entry.is_dir(), entry.name.lower())):
            if entry.name.startswith("."):
                continue
            name, link = html.escape(entry.name), quote(entry.name)
            if entry.is_dir():
                rows.append(f'<tr><td><a href="{link}/">{name}/</a></td></tr>')
                continue
            size = entry.stat().st_size if entry.is_file() else 0
            edit = f'<a href="{link}?edit">edit</a>' if is_text(entry) else ""
            gone = f'<form method="post"><button name="remove" value="{name}">remove</button></form>'
            rows.append(f'<tr><td><a href="{link}">{name}</a></td><td>{size}</td><td>{edit}</td><td>{gone}</td></tr>')
        return (
            '<form method="post" enctype="multipart/form-data"><label>Put files here '
            '<input type="file" name="file" multiple></label> <button>Upload</button></form><p></p>'
            '<form method="post"><label>New file or folder/ <input name="make"></label> <button>Make</button></form>'
            f"<table>{''.join(rows)}</table>"
        )

    def edit(self, place):
        if not is_text(place):
            raise tornado.web.HTTPError(415)
        text = html.escape(place.read_text(encoding="utf-8"))
        # A line break right after the tag is not the text's own.
        self.page(place.name, f'<form method="post"><textarea name="text">\n{text}</textarea><p><button>Save</button></form>')

    def post(self, path):
        place = self.place(path)
        if place.is_file():
            text = self.get_body_argument("text", strip=False)
            place.write_text(text.replace("\r\n", "\n"), encoding="utf-8")
            return self.redirect("./", status=303)
        for upload in self.request.files.get("file", []):
            self.place(os.path.join(path, Path(upload.filename).name)).write_bytes(upload.body)
        make = self.get_body_argument("make", "")
        if make.endswith("/"):
            self.place(os.path.join(path, make)).mkdir(exist_ok=True)
        elif make:
            self.place(os.path.join(path, make)).touch()
        remove = self.get_body_argument("remove", "")
        if remove:
            self.place(os.path.join(path, Path(remove).name)).unlink(missing_ok=True)
        self.redirect("./", status=303)


def is_text(place):
    """Whether it can be edited in a page."""
    try:
        if not place.is_file() or place.stat().st_size > EDITED:
            return False
        place.read_text(encoding="utf-8")
        return True
    except (OSError, UnicodeDecodeError):
        return False


async def main():
    os.chdir(HOME)
    shells = terminado.UniqueTermManager(shell_command=["bash", "-l"], max_terminals=16)
    terminal = tornado.web.Application([
        (r"/", TerminalPage),
        (r"/ws", terminado.TermSocket, {"term_manager": shells}),
        (r"/static/(.*)", tornado.web.StaticFileHandler, {"path": XTERM}),
    ])
    terminal.listen(3001)
    tornado.web.Application([(r"/(.*)", Files)]).listen(3002, max_buffer_size=LARGEST)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
