// The tables of docs/reasons.md, from the tables of reasons that the product itself answers with.
import { allReasons, reasons, stageOf } from '../../gateway/decision/reasons.ts';
import { reasonCodes, reasons as signOnReasons } from '../../idp-zone/decision/reasons.ts';

/** Every reason of one stage of the gateway. */
export function reasonTable(stage: string): string {
  const codes = allReasons.filter((code) => stageOf(code) === stage);
  if (codes.length === 0) throw new Error(`the gateway has no stage \`${stage}\``);
  const rows = codes.map((code) => {
    const { status, error, sentence, fix } = reasons[code];
    return `| \`${code}\` | ${status} | \`${error}\` | ${sentence} | ${fix} |`;
  });
  const head = '| Reason | Status | `Proxy-Status` error | The person reads | and does |';
  return [head, '|---|---|---|---|---|', ...rows].join('\n');
}

export function stages(): readonly string[] {
  return [...new Set(allReasons.map(stageOf))];
}

export function signOnReasonTable(): string {
  const rows = reasonCodes.map((code) => {
    const { status, sentence } = signOnReasons[code];
    return `| \`${code}\` | ${status} | ${sentence} |`;
  });
  return ['| Reason | Status of the page | The person reads |', '|---|---|---|', ...rows].join(
    '\n',
  );
}
