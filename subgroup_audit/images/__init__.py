"""From image files to pixels: DICOM headers, decoding, and a store that decodes each file once."""
