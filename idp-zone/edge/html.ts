// HTML text in which every value is escaped unless it is HTML already, and the frame all pages share.
import { createHash } from 'node:crypto';

export interface Html {
  readonly html: string;
}

type Value = string | number | Html | null;

export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const text = parts.map((part, index) => part + written(values[index] ?? null));
  return { html: text.join('') };
}

function written(value: Value): string {
  if (value === null) return '';
  return typeof value === 'object' ? value.html : escapeHtml(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? '');
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #8c959f; --paper: #f3f5f7; --card: #fff;
  --accent: #0b57d0; --on-accent: #fff; --alert: #a40e26; --alert-paper: #ffebe9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a3acb6; --line: #6e7781; --paper: #14171b;
  --card: #1e2329; --accent: #8ab4f8; --on-accent: #10151c; --alert: #ffaba8; --alert-paper: #3a1d1f; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(100%, 28rem); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .375rem; }
button, .button { display: inline-block; margin: 1.25rem 1rem 0 0; padding: .6rem 1.25rem; font: inherit; font-weight: 600;
  color: var(--on-accent); background: var(--accent); border: 0; border-radius: .375rem; text-decoration: none; cursor: pointer; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[role=alert] { margin: 0 0 1rem; padding: .75rem 1rem; color: var(--alert); background: var(--alert-paper);
  border-left: 4px solid var(--alert); border-radius: .25rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1.5rem 0 0; font-size: .875rem; color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
`;

const styleHash = createHash('sha256').update(STYLE).digest('base64');

// No `form-action`: browsers hold the redirects after a form to it too, and those lead to the application and wherever
// it goes next. The empty `script-src` is where the provider adds the hash of its own form_post page.
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  'script-src',
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function page(title: string, content: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`.html;
}
