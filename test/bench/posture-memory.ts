// What a million devices cost the posture cache in memory, and how long finding one takes. Prints one line of JSON.
// Run it with `--expose-gc`.

import type { PostureReport } from '../../gateway/decision/posture.ts';
import { createPostureCache } from '../../gateway/posture/cache.ts';

const devices = Number(process.argv[2] ?? 1_000_000);
const lookups = 1_000_000;

const idOf = (n: number): string => `6bf0c9a14e5d4f3c8a1b${String(n).padStart(20, '0')}`;

/** Read out of text, as a UEM's answer is: no string is shared between two devices but by chance. */
function reportOf(deviceId: string, n: number): PostureReport {
  return JSON.parse(
    JSON.stringify({
      source: 'uem',
      id: String(n),
      deviceId,
      serial: `C02ZG${n}`,
      user: `user.${n}@example.com`,
      platform: 'macos',
      groups: ['Corporate devices'],
      tags: ['Disk encrypted', 'Compliant Macs'],
      ownership: 'corporate',
      osVersion: '26.1.0',
      model: 'MacBookPro18,3',
      enrollment: 'enrolled',
      compliance: 'compliant',
      compromised: 'no',
      lastSeen: 1_700_000_000_000 + n,
      fetchedAt: Date.now(),
    }),
  ) as PostureReport;
}

const collect = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().rss;
};

const before = collect();
const cache = createPostureCache({
  source: {
    name: 'uem',
    fetch: (deviceId) => Promise.resolve(reportOf(deviceId, Number(deviceId.slice(20)))),
  },
  maxAgeMs: 3_600_000,
  negativeMs: 3_600_000,
  maxDevices: devices,
  deadlineMs: 60_000,
  recheckMs: 3_600_000,
  now: Date.now,
});
const began = process.cpuUsage();
for (let n = 0; n < devices; n += 1) await cache.facts(idOf(n));
const filledUs = process.cpuUsage(began).user;
const used = collect() - before;

const asked = Array.from({ length: 100_000 }, () => idOf(Math.floor(Math.random() * devices)));
const start = process.cpuUsage();
for (let i = 0; i < lookups; i += 1) await cache.facts(asked[i % asked.length] ?? '');
const lookupUs = process.cpuUsage(start).user / lookups;
cache.close();

console.log(
  JSON.stringify({
    devices,
    mib: Math.round(used / 2 ** 20),
    bytes_per_device: Math.round(used / devices),
    heap_mib: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
    learnt_per_cpu_s: Math.round(devices / (filledUs / 1e6)),
    lookup_cpu_us: Math.round(lookupUs * 100) / 100,
  }),
);
