// A real Firefox, without a window, that visits one page and leaves.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from './client.ts';
import { managed } from './managed.ts';

export interface FirefoxWords {
  /** Its home and profile; the certificate store in it is filled already. */
  readonly profile: string;
  readonly policy: string;
  readonly url: string;
}

/** Nothing but the test: no updates, no first-run pages, and names of the lab lead to this machine. */
const preferences = {
  'network.dns.localDomains': 'up.lab.test,direct.lab.test,blocked.lab.test',
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

export async function visitWithFirefox({ profile, policy, url }: FirefoxWords): Promise<void> {
  await mkdir(profile, { recursive: true });
  const lines = Object.entries(preferences).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  await writeFile(join(profile, 'user.js'), lines.join(''));
  const picture = join(profile, 'page.png');
  const firefox = await managed(join(profile, 'firefox'), {
    program: 'firefox-esr',
    cover: '/usr/share/firefox-esr/distribution',
    place: '/usr/share/firefox-esr/distribution/policies.json',
    policy,
  });
  const child = spawn(
    firefox,
    ['--headless', '--no-remote', '--profile', profile, '--screenshot', picture, url],
    {
      env: { PATH: process.env['PATH'], HOME: profile },
      stdio: 'ignore',
    },
  );
  try {
    await within(once(child, 'close'), `Firefox at ${url}`, 120_000);
  } finally {
    child.kill('SIGKILL');
  }
}
