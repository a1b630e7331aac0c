/** Numbers of what can be dragged on the picture, in hundredths of its width and height, and its angle. */
import { t } from "@lingui/core/macro";
import { useState } from "react";
import type { Overlay } from "./anchors";
import { boxOf, type Format } from "./boxes";
import { rotationOf, withRotation } from "./rotation";

interface NumberProps {
  name: string;
  label: string;
  value: number;
  min: number;
  max: number;
  onChange: (value: number) => void;
}

/** What is typed stays as it is until it is a number that may be; leaving the field shows what holds. */
function NumberField({ name, label, value, min, max, onChange }: NumberProps) {
  const [text, setText] = useState<string | null>(null);
  return (
    <label className="moment">
      {name}
      <input
        type="number"
        aria-label={label}
        min={min}
        max={max}
        step="any"
        value={text ?? value}
        onChange={({ target }) => {
          setText(target.value);
          if (target.value !== "" && target.validity.valid) onChange(target.valueAsNumber);
        }}
        onBlur={() => setText(null)}
      />
    </label>
  );
}

interface Props {
  overlay: Overlay;
  label: string;
  format: Format;
  onChange: (overlay: Overlay, group?: string) => void;
}

export function PlaceFields({ overlay, label, format, onChange }: Props) {
  const percents = (name: string, value: number, least: number, most: number, write: (value: number) => Overlay) => (
    <NumberField
      key={name}
      name={name}
      label={`${label}: ${name}`}
      value={Math.round(value * 1000) / 10}
      min={least}
      max={most}
      // As dragged: not 0.12300000000000001.
      onChange={(percent) => onChange(write(Math.round(percent * 10) / 1000), `place ${name}`)}
    />
  );
  const box = boxOf(overlay, format);
  return (
    <details>
      <summary>{t`Place on the picture, in %`}</summary>
      <div className="place">
        {box && (
          <>
            {percents(t`left`, box.x, -100, 200, (x) => ({ ...overlay, box: { ...box, x } }) as Overlay)}
            {percents(t`top`, box.y, -100, 200, (y) => ({ ...overlay, box: { ...box, y } }) as Overlay)}
            {percents(t`width`, box.width, 1, 200, (width) => ({ ...overlay, box: { ...box, width } }) as Overlay)}
            {percents(t`height`, box.height, 1, 200, (height) => ({ ...overlay, box: { ...box, height } }) as Overlay)}
            <NumberField
              name={t`rotation, in °`}
              label={t`${label}: rotation in degrees`}
              value={rotationOf(overlay)}
              min={-180}
              max={180}
              onChange={(degrees) => onChange(withRotation(overlay, degrees), "place rotation")}
            />
          </>
        )}
        {overlay.kind === "arrow" && (
          <>
            {percents(t`tail, left`, overlay.tail.x, 0, 100, (x) => ({ ...overlay, tail: { ...overlay.tail, x } }))}
            {percents(t`tail, top`, overlay.tail.y, 0, 100, (y) => ({ ...overlay, tail: { ...overlay.tail, y } }))}
            {percents(t`head, left`, overlay.head.x, 0, 100, (x) => ({ ...overlay, head: { ...overlay.head, x } }))}
            {percents(t`head, top`, overlay.head.y, 0, 100, (y) => ({ ...overlay, head: { ...overlay.head, y } }))}
          </>
        )}
      </div>
    </details>
  );
}
