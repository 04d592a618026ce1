// Runs a PAC file in a sandbox: the language and nothing else, none of the helpers that browsers bring.

import { runInNewContext } from 'node:vm';
import type { RunPac } from '../../dtr-rules/profiles/pac.ts';

export const runPac: RunPac = (text) => {
  const found: unknown = runInNewContext(`${text};FindProxyForURL`, {}, { timeout: 10_000 });
  if (typeof found !== 'function') throw new Error('a PAC file has to define FindProxyForURL');
  return found as (url: string, host: string) => unknown;
};
