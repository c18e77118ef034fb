// kuma.system.v1alpha1.DataSource: where a certificate or a key is.

import { object, onlyOneSet, text } from "../shape.ts";

const PLACES = { secret: text, file: text, inline: text, inlineString: text };

export const dataSource = object(PLACES, { also: onlyOneSet(Object.keys(PLACES)) });
