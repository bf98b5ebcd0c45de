/** Where `composefs` starts; bin/composefs runs it as one bundled file. */

import { main } from "../main.ts";

void main("composefs", () => import("../umbrella.ts"));
