// Makes a fresh clone runnable: installs what package-lock.json says, once, then runs the pinned Node on the given
// arguments. Plain JavaScript that any Node since 18 can run, because it is what the system's Node sees first.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { platform, arch } = process;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const stamp = join(root, 'node_modules', '.installed');
const lock = join(root, '.install-lock');
const wanted = createHash('sha256')
  .update(readFileSync('package-lock.json'))
  .update(`${platform}-${arch}`)
  .digest('hex');
const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}

function isHeld() {
  try {
    process.kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0);
    return true;
  } catch {
    return false; // its owner was stopped in the middle
  }
}

function takeLock() {
  for (let waitedMs = 0; ; waitedMs += 200) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, 'pid'), String(process.pid));
      return true;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isInstalled()) return false;
    if (waitedMs === 200) console.error('waiting for another install to finish …');
    if (waitedMs >= 2000 && !isHeld()) rmSync(lock, { recursive: true, force: true });
    sleep(200);
  }
}

async function install() {
  if (!takeLock()) return;
  try {
    if (isInstalled()) return;
    console.error('installing dependencies (once) …');
    const env = { ...process.env };
    delete env.NODE_ENV; // would leave out what the tests need
    for (const key of Object.keys(env)) {
      if (
        /^npm_config_(omit|include|production|only|global|prefix|dry_run|package_lock_only)$/i.test(
          key,
        )
      )
        delete env[key];
    }
    const args = [
      'ci',
      '--include=dev',
      '--include=optional',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ];
    const npm = process.env.npm_execpath; // the npm that runs us, on the Node it runs on
    const options = { stdio: ['ignore', 2, 2], env };
    const child = npm
      ? spawn(process.env.npm_node_execpath ?? process.execPath, [npm, ...args], options)
      : spawn('npm', args, { ...options, shell: platform === 'win32' });
    writeFileSync(join(lock, 'pid'), String(child.pid)); // it may outlive us
    const stop = (signal) => child.kill(signal);
    for (const signal of signals) process.on(signal, stop);
    const [code] = await once(child, 'exit');
    for (const signal of signals) process.off(signal, stop);
    if (code !== 0) throw new Error('npm ci failed; see above');
    writeFileSync(stamp, wanted);
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function pinnedNode() {
  const system = platform === 'win32' ? 'win' : platform;
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  const path = join(
    root,
    'node_modules',
    `${prefix}-${system}-${arch}`,
    'bin',
    platform === 'win32' ? 'node.exe' : 'node',
  );
  if (existsSync(path)) return path;
  if (Number.parseInt(process.versions.node, 10) >= 24) return process.execPath;
  return fail(
    `Zonegate needs Node 24.21 or newer; this is ${process.version}, and none is bundled for ${platform}-${arch}`,
    2,
  );
}

if (!isInstalled()) await install().catch((error) => fail(error.message));
const args = process.argv.slice(2);
if (args.length === 0) process.exit(0);
const child = spawn(pinnedNode(), args, { stdio: 'inherit' });
for (const signal of signals) process.on(signal, () => child.kill(signal));
const parent = process.ppid; // npm hands SIGTERM to its shell only: when that goes, so must the child
setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 500).unref();
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
