// The part of zonegate.yaml that profiles for devices are made from.

import { z } from 'zod';
import { parseTargetText } from '../../dtr-rules/parse.ts';
import { httpUrl, optional, secretText, section } from '../../runtime/schema.ts';
import { appleSection } from './apple.ts';

const endpoint = z
  .string()
  .meta({ description: 'a host and port', examples: ['gw.example.net:8443'] })
  .transform((text, context) => {
    const target = parseTargetText(text);
    if (target !== null) return { host: target.host, port: target.port };
    context.addIssue({
      code: 'custom',
      message: 'expected a host and port',
      input: text,
      params: { hint: 'for example `gw.example.net:8443`' },
    });
    return z.NEVER;
  });

/** A path on a device: not of this machine, so nothing looks whether it is there. */
const devicePath = z
  .string()
  .regex(
    /^(?! )[^\p{Cc}"'\\]*[^\p{Cc}"'\\ ]$/u,
    'expected a path without quotes, backslashes and outer spaces',
  );

export const profilesSection = optional(
  section({
    gateway: endpoint,
    gatewayHttp1: optional(endpoint),
    failMode: z.enum(['closed', 'open']).default('closed'),
    pacUrl: optional(httpUrl()),
    pacSecret: optional(secretText()),
    pacServer: optional(endpoint),
    issuer: optional(z.string().min(1)),
    authority: optional(
      z.string().min(1).meta({ description: 'a path, relative to the configuration file' }),
    ),
    agent: optional(endpoint),
    apple: appleSection,
    deviceFiles: section({
      certificate: devicePath.default('/etc/zonegate/device.pem'),
      key: devicePath.default('/etc/zonegate/device-key.pem'),
      authority: devicePath.default('/etc/zonegate/gateway-ca.pem'),
    }).prefault({}),
  }),
);
