// Reads CSV text into lines of fields; what the fields mean is for others to say.

export interface CsvLine {
  readonly fields: readonly string[];
  readonly line: number; // where it begins; counts from 1
}

/** RFC 4180, and the semicolons of spreadsheets in some countries; else the number of the line that is not so. */
export function readCsvLines(text: string): readonly CsvLine[] | number {
  const plain = text.replace(/^\uFEFF/, '');
  const first = plain.slice(0, plain.search(/[\r\n]|$/));
  const separator = first.split(';').length > first.split(',').length ? ';' : ',';
  const field = new RegExp(
    `(?:"([^"]*(?:""[^"]*)*)"|([^"${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`,
    'y',
  );
  const lines: CsvLine[] = [];
  let [fields, line, start]: [string[], number, number] = [[], 1, 1];
  while (field.lastIndex < plain.length) {
    const found = field.exec(plain);
    if (found === null) return line;
    const [whole, quotedText, bare = '', end = ''] = found;
    fields.push(quotedText?.replaceAll('""', '"') ?? bare);
    line += whole.split('\n').length - 1;
    if (end === separator) continue;
    lines.push({ fields, line: start });
    [fields, start] = [[], line];
  }
  // A last line may end in a separator and nothing else.
  lines.push({ fields, line: start });
  return lines.filter((one) => one.fields.some((field) => field.trim() !== ''));
}
