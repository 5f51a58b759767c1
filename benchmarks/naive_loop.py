"""What people write first: OpenCV reads every frame, a torch detector looks at it, boxes are drawn, OpenCV writes it. `naive_loop.py FILE FRAMES`.

D-FINE-n with random weights from its configuration (the cost does not depend on the weights), eager torch, two threads, the library's own image processor.
"""

import sys
import tempfile
from pathlib import Path

import cv2
import torch
from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

INPUT = 640


def detector() -> DFineForObjectDetection:
    """D-FINE-n (about 3.8 M parameters)."""
    backbone = HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 5, 5],
        stage_numb_of_layers=[3, 3, 3, 3],
        hidden_sizes=[64, 256, 512, 1024],
        out_features=["stage3", "stage4"],
    )
    config = DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[512, 1024],
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_hidden_dim=128,
        d_model=128,
        encode_proj_layers=[1],
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        decoder_layers=3,
        decoder_n_points=[6, 6],
        decoder_in_channels=[128, 128],
    )
    return DFineForObjectDetection(config).eval()


def main() -> None:
    """Treat the first FRAMES frames of FILE."""
    path, frames = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(2)
    model, processor = detector(), RTDetrImageProcessorPil(size={"height": INPUT, "width": INPUT})
    capture = cv2.VideoCapture(path)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        writer = None
        for _ in range(frames):
            there, picture = capture.read()
            if not there:
                break
            inputs = processor(images=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), return_tensors="pt")
            boxes = model(**inputs).pred_boxes[0][:8].numpy()
            height, width = picture.shape[:2]
            for x, y, w, h in boxes:
                cv2.rectangle(
                    picture, (int((x - w / 2) * width), int((y - h / 2) * height)), (int((x + w / 2) * width), int((y + h / 2) * height)), (0, 255, 0), 2
                )
            writer = writer or cv2.VideoWriter(str(Path(folder) / "out.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
            writer.write(picture)
        if writer:
            writer.release()


if __name__ == "__main__":
    main()
