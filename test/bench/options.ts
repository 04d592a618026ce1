// The bench command's options: what is measured, how long and how often.

import { parseArgs } from 'node:util';
import { allCases, type Case, type Effort } from './cases.ts';
import type { Contender } from './contender.ts';
import { peers } from './peers.ts';

export interface Options {
  readonly rounds: number;
  readonly effort: Effort;
  readonly cases: readonly Case[];
  readonly peers: readonly Contender[];
  readonly json: boolean;
}

/** Said as it is, with exit code 2. */
export class WrongUse extends Error {}

export const help = `Example: npm run bench -- --rounds 5 --time 4 --cases full,down --peers squid

  --rounds N     rounds, each with fresh processes and another order (3)
  --time S       seconds of each measurement (3)
  --idle N       idle tunnels to hold (1000)
  --cases a,b    ${allCases.map(({ name }) => name).join(', ')}
                 (all but those over HTTP/2)
  --peers x,y    ${peers.map(({ name }) => name).join(', ')}, or none
                 (every one that is installed)
  --json         one JSON document on standard output instead of the table
  --quick        one short round of each case: shows that all of it works, its figures mean nothing

docs/performance.md says what the figures mean.`;

export function readOptions(args: readonly string[]): Options | 'help' {
  const values = parse(args);
  if (values.help === true) return 'help';
  const quick = values.quick === true;
  const seconds = number('--time', values.time ?? (quick ? '0.3' : '3'), 600);
  const wanted = values.cases?.split(',');
  return {
    rounds: Math.ceil(number('--rounds', values.rounds ?? (quick ? '1' : '3'), 100)),
    effort: {
      seconds,
      warmupSeconds: quick ? seconds / 2 : 2,
      settleSeconds: quick ? 0.3 : 3,
      idleTunnels: Math.ceil(number('--idle', values.idle ?? (quick ? '100' : '1000'), 50_000)),
    },
    cases:
      wanted === undefined
        ? allCases.filter(({ usual }) => usual)
        : pick('--cases', wanted, allCases),
    peers: values.peers === 'none' ? [] : pick('--peers', values.peers?.split(','), peers),
    json: values.json === true,
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: text,
        time: text,
        idle: text,
        cases: text,
        peers: text,
        json: flag,
        quick: flag,
        help: { ...flag, short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new WrongUse(error instanceof Error ? error.message : String(error));
  }
}

function number(option: string, text: string, most: number): number {
  const value = Number(text);
  if (value > 0 && value <= most) return value;
  throw new WrongUse(`\`${option} ${text}\`: expected a number above 0, at most ${most}`);
}

function pick<T extends { readonly name: string }>(
  option: string,
  names: readonly string[] | undefined,
  known: readonly T[],
): readonly T[] {
  if (names === undefined) return known;
  return names.map((name) => {
    const found = known.find((one) => one.name === name);
    if (found !== undefined) return found;
    const list = known.map((one) => one.name).join(', ');
    throw new WrongUse(`\`${option} ${name}\`: expected one of ${list}`);
  });
}
