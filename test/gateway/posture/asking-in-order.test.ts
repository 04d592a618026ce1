// Several sources: who speaks for a device, and what the silence of one of them means.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import type { Outcome } from '../../../gateway/posture/asking.ts';
import {
  createAskingInOrder,
  type OrderedSource,
} from '../../../gateway/posture/asking-in-order.ts';
import {
  type ChangePage,
  type PostureSource,
  SourceError,
} from '../../../gateway/posture/source.ts';
import { healthyReport, UDID } from './fake-source.ts';

const options = { deadlineMs: 1000, now: () => 0 };
const nobody = () => null;

const good = (source: string): PostureReport => healthyReport({ source });
const bad = (source: string): PostureReport =>
  healthyReport({ source, compliance: 'non_compliant' });
const down = new SourceError('outage', 'down');
const odd = new SourceError('answer', 'odd');

type Says = PostureReport | null | SourceError;

function sourceThat(name: string, says: Says): PostureSource {
  const answer = () => (says instanceof Error ? Promise.reject(says) : Promise.resolve(says));
  return {
    name,
    fetch: answer,
    bulk: {
      most: 1,
      fetch: async (deviceIds) =>
        new Map(await Promise.all(deviceIds.map(async (id) => [id, await answer()] as const))),
    },
  };
}

function inOrder(
  first: Says,
  second: Says,
  whileDown: OrderedSource['whileDown'] = 'refuse',
): readonly OrderedSource[] {
  return [
    { source: sourceThat('first', first), whileDown },
    { source: sourceThat('second', second), whileDown: 'refuse' },
  ];
}

async function* pagesOf(pages: readonly ChangePage[]): AsyncGenerator<ChangePage> {
  for (const page of pages) yield await Promise.resolve(page);
}

function wordOf(outcome: Outcome | undefined): string {
  if (outcome?.kind !== 'answered') return outcome?.kind ?? 'missing';
  const { report } = outcome;
  return report === null ? 'unknown' : `${report.source}: ${report.compliance}`;
}

// first, second, whether the first lets the next speak, who knew the device last → who speaks
const table: readonly (readonly [Says, Says, OrderedSource['whileDown'], string | null, string])[] =
  [
    [good('first'), bad('second'), 'refuse', null, 'first: compliant'],
    [bad('first'), good('second'), 'refuse', null, 'first: non_compliant'],
    [bad('first'), good('second'), 'next', 'second', 'first: non_compliant'],
    [null, good('second'), 'refuse', null, 'second: compliant'],
    [null, bad('second'), 'refuse', 'first', 'second: non_compliant'],
    [null, null, 'refuse', null, 'unknown'],
    [null, down, 'refuse', null, 'outage'],
    [odd, good('second'), 'refuse', null, 'unbelievable'],
    [odd, good('second'), 'next', 'second', 'unbelievable'],
    [down, good('second'), 'refuse', null, 'outage'],
    [down, good('second'), 'refuse', 'second', 'outage'],
    [down, good('second'), 'next', null, 'second: compliant'],
    [down, good('second'), 'next', 'second', 'second: compliant'],
    // What it was the last to say may have been bad: a healthy answer of another must not hide it.
    [down, good('second'), 'next', 'first', 'outage'],
    [down, null, 'next', null, 'outage'],
    [down, odd, 'next', null, 'unbelievable'],
  ];

for (const [first, second, whileDown, last, expected] of table) {
  const say = (says: Says) =>
    says === null ? 'unknown' : says instanceof Error ? says.message : says.compliance;
  const title = `${say(first)} (${whileDown}), then ${say(second)}, last known to ${last ?? 'nobody'}: ${expected}`;
  test(title, async () => {
    const alone = createAskingInOrder(inOrder(first, second, whileDown), options);
    assert.equal(wordOf(await alone.ask(UDID, () => last)), expected);
    const many = createAskingInOrder(inOrder(first, second, whileDown), options);
    const outcomes = await many.askMany([UDID], () => last);
    // Of many, what cannot be believed is left out, and asked for alone.
    const missing = expected === 'unbelievable' ? 'missing' : expected;
    assert.equal(wordOf(outcomes.get(UDID)), missing);
  });
}

test('a look-up of many is divided among the sources, each asked only what the one before did not know', async () => {
  const asked: string[] = [];
  const source = (name: string, known: readonly string[], most: number): PostureSource => ({
    name,
    fetch(deviceId) {
      asked.push(`${name} ${deviceId}`);
      return Promise.resolve(
        known.includes(deviceId) ? healthyReport({ source: name, deviceId }) : null,
      );
    },
    ...(most > 0 && {
      bulk: {
        most,
        fetch(deviceIds) {
          asked.push(`${name} ${deviceIds.join('+')}`);
          const rows = deviceIds.map(
            (deviceId) =>
              [
                deviceId,
                known.includes(deviceId) ? healthyReport({ source: name, deviceId }) : null,
              ] as const,
          );
          // The last device of a batch is left out of the answer.
          return Promise.resolve(new Map(rows.slice(0, most - 1)));
        },
      },
    }),
  });
  const asking = createAskingInOrder(
    [
      { source: source('first', ['dev-1', 'dev-3'], 3), whileDown: 'refuse' },
      { source: source('second', ['dev-2', 'dev-5'], 0), whileDown: 'refuse' },
    ],
    options,
  );
  assert.equal(asking.most, 3);
  const outcomes = await asking.askMany(['dev-1', 'dev-2', 'dev-3', 'dev-4', 'dev-5'], nobody);
  const words = [...outcomes].map(([deviceId, outcome]) => `${deviceId} ${wordOf(outcome)}`);
  assert.deepEqual(words.toSorted(), [
    'dev-1 first: compliant',
    'dev-2 second: compliant',
    'dev-4 unknown',
    'dev-5 second: compliant',
  ]);
  assert.deepEqual(asked.slice(0, 2), ['first dev-1+dev-2+dev-3', 'first dev-4+dev-5']);
  assert.deepEqual(asked.slice(2).toSorted(), ['second dev-2', 'second dev-4', 'second dev-5']);
});

test('the sources fail, and are left alone, each for itself', async () => {
  let firstIsDown = true;
  let asked = 0;
  const first: PostureSource = {
    name: 'first',
    fetch() {
      asked += 1;
      return firstIsDown ? Promise.reject(down) : Promise.resolve(null);
    },
  };
  const second = sourceThat('second', good('second'));
  const asking = createAskingInOrder(
    [
      { source: first, whileDown: 'next' },
      { source: second, whileDown: 'refuse' },
    ],
    options,
  );
  for (let i = 0; i < 10; i += 1) {
    assert.equal(wordOf(await asking.ask(UDID, nobody)), 'second: compliant');
  }
  assert.equal(asked, 3, 'after three failures it is left alone');
  assert.deepEqual(
    asking.health().map(({ source, ok, lastError }) => ({ source, ok, lastError })),
    [
      { source: 'first', ok: false, lastError: 'down' },
      { source: 'second', ok: true, lastError: null },
    ],
  );
  firstIsDown = false;
  assert.equal(wordOf(await asking.ask(UDID, () => 'first')), 'left_alone');
});

test('what a later source lists counts for the devices it speaks for; of others it is a hint', async () => {
  const lists = (name: string, deviceIds: readonly string[]): PostureSource => ({
    ...sourceThat(name, null),
    changes(since) {
      const reports = deviceIds.map((deviceId) => healthyReport({ source: name, deviceId }));
      return pagesOf([{ reports, deviceIds: [], mark: `${since ?? 'start'}+` }]);
    },
  });
  const asking = createAskingInOrder(
    [
      { source: lists('first', ['dev-1']), whileDown: 'refuse' },
      { source: sourceThat('silent', null), whileDown: 'refuse' },
      { source: lists('third', ['dev-1', 'dev-2', 'dev-3']), whileDown: 'refuse' },
    ],
    options,
  );
  const last = new Map([
    ['dev-1', 'first'],
    ['dev-2', 'third'],
  ]);
  const pages: (ChangePage & { source: string })[] = [];
  const knownTo = (deviceId: string) => last.get(deviceId) ?? null;
  const signal = new AbortController().signal;
  for await (const page of asking.changes(new Map([['third', 'mark']]), knownTo, signal)) {
    pages.push(page);
  }
  const short = pages.map(({ source, reports, deviceIds, mark }) => ({
    source,
    reports: reports.map(({ deviceId }) => deviceId),
    deviceIds,
    mark,
  }));
  assert.deepEqual(short, [
    { source: 'first', reports: ['dev-1'], deviceIds: [], mark: 'start+' },
    { source: 'third', reports: ['dev-2'], deviceIds: ['dev-1', 'dev-3'], mark: 'mark+' },
  ]);
});

test('an account of changes that is broken off tells nothing against the source', async () => {
  const source: PostureSource = {
    ...sourceThat('first', down),
    changes: () =>
      pagesOf([
        { reports: [], deviceIds: [UDID], mark: null },
        { reports: [], deviceIds: [UDID], mark: 'end' },
      ]),
  };
  const asking = createAskingInOrder([{ source, whileDown: 'refuse' }], options);
  for (let i = 0; i < 10; i += 1) {
    for await (const { deviceIds } of asking.changes(
      new Map(),
      nobody,
      new AbortController().signal,
    )) {
      assert.deepEqual(deviceIds, [UDID]);
      break;
    }
  }
  assert.equal(asking.health()[0]?.ok, true);
});
